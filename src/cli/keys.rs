//! `vendorgate keys`: the master key, made and rotated.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Answer, Trouble};
use crate::pii::keys::{KeyVersion, generate_key_file, rotate_key_file};

/// Makes and rotates the master key
///
/// Every token, hash and encrypted value of every vendor is made under it. Whoever holds the file can open every token:
/// it is written with mode 0600; keep a copy where you keep secrets.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  vendorgate keys generate --out keys/master.key\n  vendorgate keys rotate --file keys/master.key"
)]
pub(super) enum Keys {
    Generate(Generate),
    Rotate(Rotate),
}

/// Writes a new master key, version 1, to a file that must not exist
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vendorgate keys generate --out keys/master.key")]
pub(super) struct Generate {
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Adds a new version, under which new values are written; old tokens stay readable
///
/// The gateway takes it up at its next reload. Values that are tokenized again get new tokens, so joins on old ones end.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vendorgate keys rotate --file keys/master.key && kill -HUP $(pidof vendorgate)")]
pub(super) struct Rotate {
    /// The master key's file
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

impl Keys {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Answer, Trouble> {
        match self {
            Self::Generate(Generate { out: path }) => {
                generate_key_file(path).map_err(|source| Trouble::Keys { path: path.clone(), source })?;
                writeln!(out, "{}: a new master key, version {}", path.display(), KeyVersion::FIRST.number())?;
            }
            Self::Rotate(Rotate { file }) => {
                let rotated = rotate_key_file(file).map_err(|source| Trouble::Keys { path: file.clone(), source })?;
                writeln!(
                    out,
                    "{}: version {} writes from now on; reload the gateway",
                    file.display(),
                    rotated.number()
                )?;
            }
        }
        Ok(Answer::Yes)
    }
}

//! `vendorgate keys`: the master key, made and rotated, and one vendor's salt, destroyed.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::error::{CliError as Trouble, Exit as Answer};
use crate::model::VendorId;
use crate::pii::keys::{KeyVersion, SaltFolder, generate_key_file, rotate_key_file};

/// Make and rotate the master key, and end one vendor's tokens
///
/// Every token, hash and encrypted value of every vendor is made under it. Whoever holds the file can open every token:
/// it is written with mode 0600; keep a copy where you keep secrets.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  vendorgate keys generate --out keys/master.key\n  vendorgate keys rotate --file keys/master.key\n  vendorgate keys shred acme-analytics --state /var/lib/vendorgate"
)]
pub(super) enum Keys {
    Generate(Generate),
    Rotate(Rotate),
    Shred(Shred),
}

/// Write a new master key, version 1, to a file that must not exist
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vendorgate keys generate --out keys/master.key")]
pub(super) struct Generate {
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Add a new version, under which new values are written; old tokens stay readable
///
/// The gateway takes it up at its next reload. Values that are tokenized again get new tokens, so joins on old ones end.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vendorgate keys rotate --file keys/master.key && kill -HUP $(pidof vendorgate)")]
pub(super) struct Rotate {
    /// The master key's file
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

/// Destroy one vendor's salt: its tokens can never be revealed again, by anyone
///
/// Hashes and encrypted values of the vendor can never be made again either, so joins on old ones end. The gateway makes a
/// new salt at its next reload, and holds the old keys until then. A backup of the state folder that still has
/// the salt undoes this: destroy it there too. Asks for the vendor's name twice, unless told --yes.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate keys shred acme-analytics --state /var/lib/vendorgate && kill -HUP $(pidof vendorgate)\n\nExits 1 when the vendor has no salt, or a name that was typed is not the vendor's."
)]
pub(super) struct Shred {
    /// The vendor's id
    vendor: String,
    /// The gateway's state folder
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Shred {
    fn run(&self, typed: &mut dyn BufRead, out: &mut dyn Write) -> Result<Answer, Trouble> {
        let vendor = VendorId::parse(&self.vendor).map_err(|error| Trouble::unusable("VENDOR", error))?;
        if !self.yes && !self.is_meant(typed)? {
            writeln!(out, "{vendor}: nothing was destroyed")?;
            return Ok(Answer::No);
        }
        let folder = self.state.join("salts");
        let shredded = SaltFolder::new(&folder).shred(&vendor);
        if !shredded.map_err(|source| Trouble::Keys { path: folder.clone(), source })? {
            writeln!(out, "{vendor}: no salt in {}", folder.display())?;
            return Ok(Answer::No);
        }
        writeln!(out, "{vendor}: its tokens can never be revealed again; reload the gateway")?;
        Ok(Answer::Yes)
    }

    /// Whether the vendor's name is typed twice.
    fn is_meant(&self, typed: &mut dyn BufRead) -> Result<bool, Trouble> {
        for question in ["Type the vendor's id to destroy what opens its tokens: ", "Once more: "] {
            eprint!("{question}");
            let mut line = String::new();
            typed.read_line(&mut line)?;
            if line.trim() != self.vendor {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Keys {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Answer, Trouble> {
        match self {
            Self::Generate(Generate { out: path }) => {
                generate_key_file(path).map_err(|source| Trouble::Keys { path: path.clone(), source })?;
                writeln!(out, "{}: a new master key, version {}", path.display(), KeyVersion::FIRST.number())?;
            }
            Self::Shred(shred) => return shred.run(&mut io::stdin().lock(), out),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_destroyed_only_by_whoever_means_it() {
        let folder = tempfile::tempdir().unwrap();
        let vendor = VendorId::parse("acme").unwrap();
        let salts = SaltFolder::new(folder.path().join("salts"));
        let salt = salts.open_or_create(&vendor).unwrap();
        let shred = |vendor: &str, yes, typed: &str| {
            let shred = Shred { vendor: vendor.into(), state: folder.path().to_owned(), yes };
            let mut out = Vec::new();
            let answer = shred.run(&mut typed.as_bytes(), &mut out);
            (answer.ok(), String::from_utf8(out).unwrap())
        };
        for typed in ["", "acme", "acme\n", "acme\nacm\n", "other\nacme\nacme\n"] {
            assert_eq!(shred("acme", false, typed), (Some(Answer::No), "acme: nothing was destroyed\n".into()));
            assert_eq!(salts.open_or_create(&vendor).unwrap().expose(), salt.expose(), "{typed}");
        }
        assert_eq!(shred("acme", false, "acme\nacme\n").0, Some(Answer::Yes));
        assert_ne!(salts.open_or_create(&vendor).unwrap().expose(), salt.expose());
        assert_eq!(shred("acme", true, "").0, Some(Answer::Yes));
        let (answer, said) = shred("acme", true, "");
        assert!(answer == Some(Answer::No) && said.contains("no salt"), "{said}");
        assert_eq!(shred("../etc", true, "").0, None);
    }
}

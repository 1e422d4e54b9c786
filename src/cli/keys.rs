//! `vendorgate keys`: makes and rotates the master key, and destroys one vendor's salt.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::error::{CliError, Exit};
use crate::model::{Clock, VendorId};
use crate::pii::keys::{KeyError, KeyVersion, SaltFolder, generate_key_file, rotate_key_file};
use crate::server::{PendingAuditRecord, leave_audit_record};

/// Make and rotate the master key, and destroy one vendor's salt
///
/// Every token, hash and encrypted value of every vendor depends on the master key. Who has its file can open every
/// token. The file is written with mode 0600; keep a copy where you keep secrets.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  vendorgate keys generate --out keys/master.key\n  vendorgate keys rotate --file keys/master.key --reason 'yearly'\n  vendorgate keys shred acme-analytics --state /var/lib/vendorgate --reason 'contract ended'"
)]
pub(super) enum KeysCommand {
    Generate(KeysGenerateArgs),
    Rotate(KeysRotateArgs),
    Shred(KeysShredArgs),
}

/// Write a new master key, version 1, to a file that must not exist
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vendorgate keys generate --out keys/master.key")]
pub(super) struct KeysGenerateArgs {
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Add a new version of the key for new values; old tokens can still be opened
///
/// The gateway reads the new version at its next reload, and records the rotation in its audit trail. A value that is
/// tokenized, hashed or encrypted again comes out differently, so joins with old values end. Values of `encrypt_format`
/// carry no version: decrypt them first, or keep the old key file.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate keys rotate --file keys/master.key --reason 'yearly' && kill -HUP $(pidof vendorgate)"
)]
pub(super) struct KeysRotateArgs {
    /// The master key's file
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    actor: KeysActorArgs,
}

/// Who gives the order and why, for the audit trail.
#[derive(Debug, Args)]
struct KeysActorArgs {
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who gives the order, for the audit trail
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    by: String,
}

impl KeysActorArgs {
    fn record(&self, place: &Path, done: &str, subject: &str) -> Result<(), CliError> {
        if self.reason.trim().is_empty() {
            return Err(CliError::invalid_argument("--reason", "is empty: say why, for the audit trail"));
        }
        let note = PendingAuditRecord {
            at_ms: Clock::system().now().wall.as_millis(),
            actor: self.by.clone(),
            done: done.to_owned(),
            subject: subject.to_owned(),
            reason: self.reason.clone(),
        };
        leave_audit_record(place, &note).map_err(|source| {
            let (action, path) = ("leave a note for the audit trail beside", place.to_owned());
            CliError::Keys { path: path.clone(), source: KeyError::File { action, path, source } }
        })
    }
}

/// Destroy one vendor's salt: its tokens can never be revealed again, by anyone
///
/// Hashes and encrypted values of the vendor can never be made again either, so joins with old values end. The gateway
/// makes a new salt at its next reload, and holds the old keys in memory until then. A backup of the state folder still
/// has the salt: destroy it there too. Asks for the vendor's name twice, unless --yes is given.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate keys shred acme-analytics --state /var/lib/vendorgate --reason 'contract ended' && kill -HUP $(pidof vendorgate)\n\nExits 1 when the vendor has no salt, or a name that was typed is not the vendor's."
)]
pub(super) struct KeysShredArgs {
    /// The vendor's id
    vendor: String,
    /// The gateway's state folder
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,
    #[command(flatten)]
    actor: KeysActorArgs,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

impl KeysShredArgs {
    fn run(&self, typed: &mut dyn BufRead, out: &mut dyn Write) -> Result<Exit, CliError> {
        let vendor = VendorId::parse(&self.vendor).map_err(|error| CliError::invalid_argument("VENDOR", error))?;
        if !self.yes && !self.is_confirmed(typed)? {
            writeln!(out, "{vendor}: nothing was destroyed")?;
            return Ok(Exit::No);
        }
        let folder = self.state.join("salts");
        let (salts, failed) = (SaltFolder::new(&folder), |source| CliError::Keys { path: folder.clone(), source });
        if matches!(salts.open(&vendor), Err(KeyError::NoSalt { .. })) && !salts.is_half_shredded(&vendor) {
            writeln!(out, "{vendor}: no salt in {}", folder.display())?;
            return Ok(Exit::No);
        }
        self.actor.record(&folder, "shred", vendor.as_str())?;
        salts.shred(&vendor).map_err(failed)?;
        writeln!(out, "{vendor}: its tokens can never be revealed again; reload the gateway")?;
        Ok(Exit::Yes)
    }

    /// Whether the user types the vendor's name twice.
    fn is_confirmed(&self, typed: &mut dyn BufRead) -> Result<bool, CliError> {
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

impl KeysCommand {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        match self {
            Self::Generate(KeysGenerateArgs { out: path }) => {
                generate_key_file(path).map_err(|source| CliError::Keys { path: path.clone(), source })?;
                writeln!(out, "{}: a new master key, version {}", path.display(), KeyVersion::FIRST.number())?;
            }
            Self::Shred(shred) => return shred.run(&mut io::stdin().lock(), out),
            Self::Rotate(KeysRotateArgs { file, actor: cause }) => {
                cause.record(file, "rotate", "master")?;
                let rotated = rotate_key_file(file).map_err(|source| CliError::Keys { path: file.clone(), source })?;
                writeln!(
                    out,
                    "{}: version {} writes from now on; reload the gateway",
                    file.display(),
                    rotated.number()
                )?;
            }
        }
        Ok(Exit::Yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_destroyed_only_after_its_vendor_is_typed_twice() {
        let folder = tempfile::tempdir().unwrap();
        let vendor = VendorId::parse("acme").unwrap();
        let salts = SaltFolder::new(folder.path().join("salts"));
        let salt = salts.open_or_create(&vendor).unwrap();
        let shred = |vendor: &str, yes, typed: &str| {
            let cause = KeysActorArgs { reason: "ticket 4711".into(), by: "carol".into() };
            let shred = KeysShredArgs { vendor: vendor.into(), state: folder.path().to_owned(), actor: cause, yes };
            let mut out = Vec::new();
            let answer = shred.run(&mut typed.as_bytes(), &mut out);
            (answer.ok(), String::from_utf8(out).unwrap())
        };
        for typed in ["", "acme", "acme\n", "acme\nacm\n", "other\nacme\nacme\n"] {
            assert_eq!(shred("acme", false, typed), (Some(Exit::No), "acme: nothing was destroyed\n".into()));
            assert_eq!(salts.open_or_create(&vendor).unwrap().expose(), salt.expose(), "{typed}");
        }
        assert_eq!(shred("acme", false, "acme\nacme\n").0, Some(Exit::Yes));
        assert_ne!(salts.open_or_create(&vendor).unwrap().expose(), salt.expose());
        assert_eq!(shred("acme", true, "").0, Some(Exit::Yes));
        let (answer, said) = shred("acme", true, "");
        assert!(answer == Some(Exit::No) && said.contains("no salt"), "{said}");
        assert_eq!(shred("../etc", true, "").0, None);
        let notes = std::fs::read_to_string(folder.path().join("salts/notes")).unwrap();
        assert_eq!(notes.lines().count(), 2, "one for each salt that was destroyed: {notes}");
    }
}

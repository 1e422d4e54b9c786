//! Errors of keys and salts. An error names the number of a line in a key file, and never its content.

use std::io;
use std::path::PathBuf;

use crate::model::VendorId;

/// Why keys or salts cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A line of the key text cannot be read.
    #[error("line {line} of the master keys {what}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with the line.
        what: &'static str,
    },
    /// The text does not have exactly one active version.
    #[error("the master keys must have exactly one active version, not {0}")]
    ActiveCount(usize),
    /// Others than the owner, and a group of this process, may read or change the file.
    #[error(
        "{path} must have mode 0600, or 0440 with a group of this process, not {mode:04o}: anyone who can read it can open every token"
    )]
    TooOpen {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The environment variable is not set, or is not UTF-8.
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    /// A file that would be written exists already.
    #[error("{0} exists already: it is a key file, or an interrupted rotation left it; move it away")]
    Exists(PathBuf),
    /// The vendor had a salt, and its file is missing. It is not replaced by a new one: that would silently make all
    /// tokens of the vendor unreadable.
    #[error(
        "the salt of {vendor} is gone from {path}, and without it no token of {vendor} opens: put it back from a backup, or end those tokens for good with 'vendorgate keys shred {vendor}'"
    )]
    SaltLost {
        /// The vendor of the salt.
        vendor: VendorId,
        /// Where its file was.
        path: PathBuf,
    },
    /// The file has no salt, or another one than the vendor's tokens were made with.
    #[error(
        "{path} is not the salt that the tokens of {vendor} were made with: put that back from a backup, or end those tokens for good with 'vendorgate keys shred {vendor}'"
    )]
    SaltChanged {
        /// The vendor of the salt.
        vendor: VendorId,
        /// Its file.
        path: PathBuf,
    },
    /// The vendor has no salt yet.
    #[error("{vendor} has no salt in {folder} yet: the gateway makes it when it first starts with the contract")]
    NoSalt {
        /// The vendor of the salt.
        vendor: VendorId,
        /// The folder of salts.
        folder: PathBuf,
    },
    /// The last version number is in use.
    #[error("the last key version, 1023, is in use")]
    VersionsSpent,
    /// The file cannot be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// The operation that failed.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The system's random generator failed.
    #[error("the system's random generator gave nothing")]
    Random,
}

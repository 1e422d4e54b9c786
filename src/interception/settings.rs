//! Where the authority of interception is kept.

use std::path::PathBuf;

/// The files of the authority that signs the certificates of intercepted hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterceptionSettings {
    /// Its certificate, PEM; behind it those that lead to a root, where it is none itself.
    pub ca: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

//! Whether the files that a contract names hold what is needed: for `check`, by the code that reads them later.
//!
//! Never tells what a file holds.

use crate::identity::certificate::vendor;
use crate::identity::introspection;

/// Whether authorities, and the revocation lists after them, can judge certificates; what is left out of them, if anything.
///
/// # Errors
/// Why not, in words for an operator.
pub fn inspect_authorities(contents: &[Vec<u8>]) -> Result<Option<String>, String> {
    vendor::build(contents).map(|(_, left_out)| left_out)
}

/// Whether a file's content can be the secret that an issuer knows us by.
///
/// # Errors
/// Why not, in words for an operator.
pub fn inspect_client_secret(content: Vec<u8>) -> Result<(), String> {
    introspection::read_secret(content).map(drop).map_err(str::to_owned)
}

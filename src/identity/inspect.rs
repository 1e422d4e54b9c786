//! Checks the files that a contract names for `vendorgate check`, by the same code that reads them later.
//!
//! Errors never contain content of a file.

use crate::identity::certificate::vendor;
use crate::identity::introspection;

/// Whether a file of authorities, and the files of revocation lists after it, can be used to verify certificates.
/// Returns what is left out of them, if anything.
///
/// # Errors
/// Why not, in words for an operator.
pub fn inspect_authorities(contents: &[Vec<u8>]) -> Result<Option<String>, String> {
    vendor::build(contents).map(|(_, left_out)| left_out)
}

/// Whether a file's content can be used as our client secret at an issuer.
///
/// # Errors
/// Why not, in words for an operator.
pub fn inspect_client_secret(content: Vec<u8>) -> Result<(), String> {
    introspection::read_secret(content).map(drop).map_err(str::to_owned)
}

//! Checks `operators.yaml`.

use super::values;
use crate::config::file;
use crate::config::settings::Operator;
use crate::config::source::Cursor;

/// How an operator's token and its hash are made.
const MAKE_ONE: &str = "make a token and its hash with `vendorgate operators add NAME --role ROLE`";

/// The operators of a file.
pub(in crate::config) fn operators(at: &Cursor<'_>, written: &file::OperatorsConfig) -> Vec<Operator> {
    let at = at.key("operators");
    let mut operators: Vec<Operator> = Vec::new();
    for (i, operator) in written.operators.iter().flatten().enumerate() {
        let at = at.item(i);
        let Some(operator) = self::operator(&at, operator) else { continue };
        if operators.iter().any(|earlier| earlier.name == operator.name) {
            at.key("name").invalid_with_remedy(
                "is used twice: the audit trail could not tell them apart",
                "give one of them another name",
            );
        }
        if operators.iter().any(|earlier| earlier.token_sha256 == operator.token_sha256) {
            at.key("token_sha256")
                .fault("is another operator's token too", "make one for each with `vendorgate operators add`");
        }
        operators.push(operator);
    }
    operators
}

fn operator(at: &Cursor<'_>, written: &file::OperatorConfig) -> Option<Operator> {
    let name = values::name(&at.key("name"), written.name.as_deref()?, "alice");
    let token_sha256 = hash(&at.key("token_sha256"), written.token_sha256.as_deref()?, MAKE_ONE)?;
    Some(Operator { name, role: written.role?, token_sha256 })
}

/// Reads the hash of a token. Faults do not show what was written: it may be the token itself.
pub(super) fn hash(at: &Cursor<'_>, text: &str, instead: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    let nibble = |b: &u8| char::from(*b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Option<Vec<u8>> = text.as_bytes().iter().map(nibble).collect();
    let Some(digits) = digits.filter(|digits| digits.len() == 64) else {
        at.fault_without_line("must be 64 hexadecimal digits, the SHA-256 of the token", instead);
        return None;
    };
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(hash)
}

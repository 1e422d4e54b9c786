//! Since when each operator has had its token and role: an operator who is added or changed while a kill is in force
//! does not count as a second person for its end.
//!
//! Kept in the state, not in the config: a person who can write operators into the config must not become two people
//! that way. An operator whose token or role changed is a new one. After a day a new operator counts as any other.

use serde::{Deserialize, Serialize};

use crate::bounds::APPROVER_WAIT;
use crate::config::Operator;
use crate::model::UnixTime;
use crate::store::{Store, StoreError, StoreRow, StoreTable, WriteBatch};

/// The key of a row that is written at the first start, even where there are no operators. No operator can have this
/// name.
const FIRST_START: &[u8] = b"*";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KnownOperator {
    since_ms: u64,
    role: String,
    token_sha256: [u8; 32],
}

impl StoreRow for KnownOperator {
    const TABLE: StoreTable = StoreTable::Operators;
}

/// Notes who is an operator now. At the first start with this state everybody always was. May block.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub(super) fn record(store: &Store, operators: &[Operator], now: UnixTime) -> Result<(), StoreError> {
    let before = store.range::<KnownOperator>(b"", None, usize::MAX)?;
    let is_first = !before.iter().any(|(name, _)| name == FIRST_START);
    let since_ms = if is_first { 0 } else { now.as_millis() };
    let mut batch = WriteBatch::new();
    if is_first {
        let begun = KnownOperator { since_ms: now.as_millis(), role: String::new(), token_sha256: [0; 32] };
        batch.put(FIRST_START, &begun).unwrap_or_else(|error| tracing::error!(%error, "operators cannot be noted"));
    }
    for (name, _) in &before {
        if name != FIRST_START && !operators.iter().any(|operator| operator.name.as_bytes() == name) {
            batch.delete(StoreTable::Operators, name);
        }
    }
    for operator in operators {
        let (role, token_sha256) = (operator.role.to_string(), operator.token_sha256);
        let is_same = |known: &KnownOperator| known.role == role && known.token_sha256 == token_sha256;
        let known = before.iter().find(|(name, _)| name == operator.name.as_bytes());
        if known.is_none_or(|(_, known)| !is_same(known)) {
            let put = batch.put(operator.name.as_bytes(), &KnownOperator { since_ms, role, token_sha256 });
            put.unwrap_or_else(|error| tracing::error!(%error, "an operator cannot be noted"));
        }
    }
    if !batch.is_empty() {
        // Who is not noted yet does not count, so nothing waits for the disk.
        drop(store.write(batch));
    }
    Ok(())
}

/// Whether this operator's approval counts for the end of kills that have been in force since a time.
pub(super) fn counts(store: &Store, name: &str, standing_since: Option<UnixTime>, now: UnixTime) -> bool {
    let Ok(Some(known)) = store.get::<KnownOperator>(name.as_bytes()) else { return false };
    let since = UnixTime::from_millis(known.since_ms);
    standing_since.is_none_or(|standing| since <= standing) || now.since(since) >= APPROVER_WAIT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OperatorRole;

    fn operator(name: &str, role: OperatorRole, token: u8) -> Operator {
        Operator { name: name.to_owned(), role, token_sha256: [token; 32] }
    }

    #[test]
    fn an_operator_added_or_changed_during_a_kill_counts_after_a_day() {
        let store = Store::in_memory().unwrap();
        let at = UnixTime::from_secs;
        let note = |operators: &[Operator], now| {
            record(&store, operators, at(now)).unwrap();
            // A blocking write comes after all that were queued before it.
            store.write_blocking(WriteBatch::new()).unwrap();
        };
        let counts = |name: &str, now| counts(&store, name, Some(at(1_000)), at(now));
        let (ann, bob) = (operator("ann", OperatorRole::Admin, 1), operator("bob", OperatorRole::Viewer, 2));
        note(&[ann.clone(), bob], 5_000);
        assert!(counts("ann", 5_000) && counts("bob", 5_000), "those of the first start were always there");
        assert!(!counts("eve", 5_000), "nobody");
        note(&[ann.clone(), operator("bob", OperatorRole::Admin, 2), operator("eve", OperatorRole::Admin, 3)], 6_000);
        assert!(counts("ann", 6_001) && !counts("bob", 6_001) && !counts("eve", 6_001));
        note(std::slice::from_ref(&ann), 7_000);
        note(&[ann, operator("eve", OperatorRole::Admin, 3)], 8_000);
        note(&[], 8_500);
        note(&[operator("eve", OperatorRole::Admin, 4)], 9_000);
        assert!(!counts("eve", 9_001), "nobody for a while is no first start");
        let day = APPROVER_WAIT.as_secs();
        assert!(!counts("eve", 6_000 + day), "gone and come again is new");
        assert!(counts("eve", 9_000 + day));
    }
}

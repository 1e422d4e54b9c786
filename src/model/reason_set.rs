//! A set of reasons, small enough to copy.

use super::Reason;

/// A set of reasons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReasonSet(u64);

/// Each reason has a bit.
const _: () = assert!(Reason::ALL.len() <= u64::BITS as usize);

impl ReasonSet {
    /// Adds a reason.
    pub const fn insert(&mut self, reason: Reason) {
        self.0 |= 1 << reason.index();
    }

    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The reasons of both sets.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Its reasons, in the order of [`Reason::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |reason| self.0 & 1 << reason.index() != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_each_reason_once() {
        let mut set = ReasonSet::default();
        assert!(set.is_empty());
        for reason in [Reason::UpstreamTimeout, Reason::RequestMalformed, Reason::UpstreamTimeout] {
            set.insert(reason);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [Reason::RequestMalformed, Reason::UpstreamTimeout]);
        assert_eq!(
            Reason::ALL
                .into_iter()
                .fold(set, |mut all, reason| {
                    all.insert(reason);
                    all
                })
                .iter()
                .count(),
            Reason::ALL.len()
        );
    }
}

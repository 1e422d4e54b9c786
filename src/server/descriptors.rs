//! The process's file descriptors: raised to what the system grants, and divided before any listener can use them up.
//!
//! Connections of vendors and services share most of them with sockets towards upstreams, and neither can take all; the
//! others are kept for operators, probes, files, issuers and hooks. So no crowd on a data listener can make the kill
//! switch unreachable.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::bounds::{
    ADMIN_CONNECTIONS_MAX, ADMIN_CONNECTIONS_MIN, CONNECTIONS_MAX, DESCRIPTORS_ADVISED_MIN, DESCRIPTORS_MAX,
    DESCRIPTORS_OF_THE_PROCESS, DESCRIPTORS_RESERVED,
};

/// Who may have how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DescriptorShares {
    /// Sockets of both kinds together.
    pub(super) sockets: usize,
    /// Open connections of the data listeners.
    pub(super) connections: usize,
    /// Sockets towards upstreams.
    pub(super) upstreams: usize,
    /// Open connections of the admin listener, and again of the socket: out of what is kept, as files and threads are.
    pub(super) operators: usize,
}

/// Raises the soft limit as far as the hard one lets it, says so, and divides what there is.
pub(super) fn claim(workers: usize) -> DescriptorShares {
    let before = getrlimit(Resource::Nofile);
    let granted = before.maximum.unwrap_or(DESCRIPTORS_MAX).min(DESCRIPTORS_MAX);
    let soft = before.current.unwrap_or(granted);
    let wanted = Rlimit { current: Some(granted), maximum: before.maximum };
    let limit = if soft < granted && setrlimit(Resource::Nofile, wanted).is_ok() { granted } else { soft };
    let shares = divide(limit, workers);
    let DescriptorShares { connections, upstreams, .. } = shares;
    tracing::info!(was = soft, now = limit, connections, upstreams, "file descriptors are divided");
    if limit < DESCRIPTORS_ADVISED_MIN {
        tracing::warn!(
            limit,
            connections,
            "few file descriptors: raise the hard limit, such as by LimitNOFILE= or ulimit -Hn"
        );
    }
    shares
}

/// What is not kept is for sockets, of which either side can have three quarters: a quarter is always the other's.
fn divide(limit: u64, workers: usize) -> DescriptorShares {
    let kept = DESCRIPTORS_RESERVED.min(limit / 2);
    let sockets = usize::try_from(limit - kept).unwrap_or(usize::MAX).max(2);
    let most = (sockets - sockets / 4).min(sockets - 1);
    let operators = usize::try_from(kept.saturating_sub(DESCRIPTORS_OF_THE_PROCESS) / 2).unwrap_or(usize::MAX);
    let operators = operators.clamp(ADMIN_CONNECTIONS_MIN, ADMIN_CONNECTIONS_MAX);
    DescriptorShares { sockets, connections: most.min(CONNECTIONS_MAX * workers.max(1)), upstreams: most, operators }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the system grants, something is kept, and neither side can take all of the rest.
        #[test]
        fn some_descriptors_are_reserved_and_neither_side_can_take_all_others(limit in 8_u64..=DESCRIPTORS_MAX, workers in 1_usize..=128) {
            let DescriptorShares { sockets, connections, upstreams, operators } = divide(limit, workers);
            prop_assert!((ADMIN_CONNECTIONS_MIN..=ADMIN_CONNECTIONS_MAX).contains(&operators));
            prop_assert_eq!(limit - sockets as u64, DESCRIPTORS_RESERVED.min(limit / 2));
            for most in [connections, upstreams] {
                prop_assert!((1..sockets).contains(&most));
            }
        }
    }
}

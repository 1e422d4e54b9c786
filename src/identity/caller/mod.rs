//! Who the caller is: the decision about a request, the cache of verified callers, and what is checked again later.

pub(super) mod authenticate;
pub(super) mod cache;
pub(super) mod explain;
pub(super) mod issuer_clients;
pub(super) mod names;
pub(super) mod recheck;
pub(super) mod verified;

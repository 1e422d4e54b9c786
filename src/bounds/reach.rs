//! Bounds of how our services reach vendors.

/// Most hosts of one contract: more are not reviewed, and every answer's references are compared with them.
pub const EGRESS_HOSTS_MAX: usize = 100;

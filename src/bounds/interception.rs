//! Bounds of interception: its authority, and the certificates that are made for hosts.

use std::time::Duration;

/// Most certificates of hosts that are kept: far more than one company has vendors.
pub const INTERCEPTION_LEAVES_MAX: usize = 1_000;
/// How long the certificate of a host is valid: a day, so that a leaked one is soon worth nothing.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How far before its making a certificate begins to be valid, for clients whose clocks are slow.
pub const LEAF_BACKDATE: Duration = Duration::from_secs(3600);
/// How long before its end the certificate of a host is made anew: longer than a connection usually lives.
pub const LEAF_RENEWAL: Duration = Duration::from_secs(6 * 3600);
/// How long an authority of interception is valid unless its maker says otherwise, in days.
pub const AUTHORITY_DAYS: u32 = 365;
/// The longest that one can be made for, in days: what public authorities' roots are limited to is twice as long.
pub const AUTHORITY_DAYS_MAX: u32 = 3650;
/// How long before the end of the authority `check` warns: time to bring a new one to every service.
pub const AUTHORITY_WARNING: Duration = Duration::from_secs(30 * 86_400);
/// Most services that may be named as callers: a large company has hundreds.
pub const CALLERS_MAX: usize = 1_000;
/// Most hosts that one authority may name: as many as contracts can be read.
pub const AUTHORITY_HOSTS_MAX: usize = 10_000;

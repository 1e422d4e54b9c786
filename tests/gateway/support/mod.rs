//! What the tests of the running gateway have in common: a fixture to start it in, an issuer, upstreams, clients.
//!
//! Everything stands on loopback and on ports that the system chooses. Waits for conditions, never for a time alone.

pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod fixture;
pub(crate) mod h2;
pub(crate) mod h2_frames;
pub(crate) mod issuer;
pub(crate) mod process;
pub(crate) mod test_gateway;
pub(crate) mod upstream;

use std::time::Duration;

use vendorgate::internals::model::Clock;

/// Longest wait for anything: far above what a loaded machine needs, so that only what never comes fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = Clock::system();
    let start = clock.now().monotonic_ns;
    while !holds() {
        let waited = clock.now().monotonic_ns - start;
        assert!(u128::from(waited) < PATIENCE.as_nanos(), "never came: {what}");
        // Slower than the rate of a vendor whose contract names none: what is asked for meanwhile spends nothing up.
        std::thread::sleep(Duration::from_millis(15));
    }
}

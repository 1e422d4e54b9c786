//! What the tests of the running gateway share: fixtures, an issuer, upstreams, clients.
//!
//! Everything listens on loopback, on ports that the system chooses. Waits for conditions, never for a fixed time.

pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod fixture;
pub(crate) mod h2;
pub(crate) mod h2_frames;
pub(crate) mod h2_upstream;
pub(crate) mod issuer;
pub(crate) mod process;
pub(crate) mod test_gateway;
pub(crate) mod upstream;

use std::time::Duration;

use vendorgate::internals::model::Clock;

/// Longest wait for a condition: far more than a loaded machine needs, so that only a condition that never holds fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = Clock::system();
    let start = clock.now().monotonic_ns;
    while !holds() {
        let waited = clock.now().monotonic_ns - start;
        assert!(u128::from(waited) < PATIENCE.as_nanos(), "never came: {what}");
        // Slower than the default rate of a vendor, so that polling with requests spends no limit.
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// Sends a signal by name to a process. The shell's own `kill`, because small machines have no program of that name.
pub(crate) fn signal(name: &str, process: u32) {
    let sent = std::process::Command::new("sh").arg("-c").arg(format!("kill -{name} {process}")).status();
    assert!(sent.expect("a shell").success(), "{name} to {process}");
}

/// The Python of the tests; which packages it has is for each test to see.
pub(crate) fn python() -> String {
    std::env::var("VENDORGATE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

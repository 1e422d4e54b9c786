//! Metrics of the process, read from Linux' `/proc`. On other systems, and where it cannot be read, they are left out.

use std::fs;

use super::families::{self, ScrapePage};

/// The kernel's unit of time in `/proc`: a hundredth of a second on every architecture.
const TICKS_PER_SEC: f64 = 100.0;

/// Adds the `process_*` families.
pub(super) fn read(page: &mut ScrapePage) {
    let gauges = [
        (&families::PROCESS_RESIDENT, status("VmRSS:").map(|kib| kib * 1024.0)),
        (&families::PROCESS_VIRTUAL, status("VmSize:").map(|kib| kib * 1024.0)),
        (&families::PROCESS_THREADS, status("Threads:")),
        (&families::PROCESS_OPEN_FDS, open_fds()),
        (&families::PROCESS_MAX_FDS, max_fds()),
        (&families::PROCESS_START, start_time()),
    ];
    for (family, value) in gauges {
        if let Some(value) = value {
            page.gauge(family, &[], value);
        }
    }
    if let Some(seconds) = cpu_seconds() {
        page.counter(&families::PROCESS_CPU, &[], seconds);
    }
}

/// A number out of `/proc/self/status`.
fn status(key: &str) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A number out of `/proc/self/stat`, by its place in proc(5), from 3 on.
fn stat(place: usize) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may itself hold brackets and spaces.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(place.checked_sub(3)?)?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    Some((stat(14)? + stat(15)?) / TICKS_PER_SEC)
}

fn start_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + stat(22)? / TICKS_PER_SEC)
}

fn open_fds() -> Option<f64> {
    // Listing the folder opens one more descriptor.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn max_fds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => None,
        number => number.parse().ok(),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_of_this_process_are_plausible() {
        assert!(status("VmRSS:").is_some_and(|kib| kib > 100.0));
        assert!(cpu_seconds().is_some_and(|seconds| seconds >= 0.0));
        assert!(open_fds().is_some_and(|fds| fds >= 3.0));
        let start = start_time().expect("a start time");
        let now = crate::model::Clock::system().now().wall.as_secs() as f64;
        assert!((now - 86_400.0..=now + 1.0).contains(&start), "{start} {now}");
    }
}

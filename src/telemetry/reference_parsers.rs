//! Reads our metrics with other programs: Prometheus' linter, and the OpenMetrics parser of its Python client.
//!
//! A program that is not installed is reported on standard error: `apt-get install prometheus`, `pip install
//! prometheus-client`.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use super::exposition::ExpositionFormat;
use super::metrics::tests::busy;

/// Feeds a page to a program. Returns its message where it finds an error, `None` where it is not installed.
fn judge(program: &str, arguments: &[&str], page: &str) -> Option<Result<(), String>> {
    let piped = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match piped {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(Err(error.to_string())),
    };
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(if output.status.success() && said.is_empty() { Ok(()) } else { Err(said) })
}

fn check(program: &str, arguments: &[&str], format: ExpositionFormat) {
    let (metrics, _) = busy();
    match judge(program, arguments, &metrics.render(format)) {
        Some(verdict) => assert_eq!(verdict, Ok(())),
        None => eprintln!("not judged: {program} is not installed"),
    }
}

#[test]
fn promtool_finds_no_error_in_our_metrics() {
    check("promtool", &["check", "metrics"], ExpositionFormat::Prometheus);
}

#[test]
fn the_reference_parser_reads_our_open_metrics() {
    const PARSE: &str = "\
import sys
try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
except ImportError:
    print('not judged: prometheus_client is not installed')
    sys.exit(0)
families = list(text_string_to_metric_families(sys.stdin.read()))
assert len(families) > 20 and all(family.samples for family in families), families
";
    check("python3", &["-c", PARSE], ExpositionFormat::OpenMetrics);
}

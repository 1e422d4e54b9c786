//! Reads our metrics with other programs: Prometheus' linter, and the OpenMetrics parser of its Python client.
//!
//! To install them: `apt-get install prometheus`, `pip install prometheus-client`.

use std::io::Write;
use std::process::{Command, Stdio};

use super::exposition::ExpositionFormat;
use super::metrics::tests::busy;

/// Feeds a page to a program, which must have nothing to say.
fn check(program: &str, arguments: &[&str], format: ExpositionFormat) {
    let (metrics, _) = busy();
    let mut judge = Command::new(program);
    judge.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut judge = judge.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    judge.stdin.take().unwrap().write_all(metrics.render(format).as_bytes()).unwrap();
    let output = judge.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
#[ignore = "needs promtool"]
fn promtool_finds_no_error_in_our_metrics() {
    check("promtool", &["check", "metrics"], ExpositionFormat::Prometheus);
}

#[test]
#[ignore = "needs prometheus_client in the Python that VENDORGATE_TEST_PYTHON names"]
fn the_reference_parser_reads_our_open_metrics() {
    const PARSE: &str = "\
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
assert len(families) > 20 and all(family.samples for family in families), families
";
    let python = std::env::var("VENDORGATE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    check(&python, &["-c", PARSE], ExpositionFormat::OpenMetrics);
}

//! Metrics as text: Prometheus' own format, and OpenMetrics 1.0 where a scraper asks for it.

use std::fmt::Write as _;

use prometheus::TextEncoder;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// A text format for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// Prometheus' text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl ExpositionFormat {
    /// The `Content-Type` of this format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The format that an `Accept` header prefers: Prometheus' own, unless OpenMetrics 1.0 has at least the same quality.
pub fn negotiate(accept: &str) -> ExpositionFormat {
    let (mut open, mut text) = (0.0_f32, 0.0_f32);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters: Vec<&str> = parts.collect();
        let quality = parameters.iter().find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        let version = parameters.iter().find_map(|part| part.strip_prefix("version="));
        match media.as_str() {
            "application/openmetrics-text" if matches!(version, None | Some("1.0.0")) => open = open.max(quality),
            "text/plain" => text = text.max(quality),
            "text/*" | "*/*" => text = text.max(quality / 2.0),
            _ => {}
        }
    }
    if open > 0.0 && open >= text { ExpositionFormat::OpenMetrics } else { ExpositionFormat::Prometheus }
}

/// Writes families in the given format.
pub(super) fn encode(format: ExpositionFormat, families: &[MetricFamily]) -> String {
    match format {
        ExpositionFormat::Prometheus => {
            let mut out = String::new();
            // Encoding into memory fails only on a family without a name or samples, which the registry leaves out.
            let complete = TextEncoder::new().encode_utf8(families, &mut out).is_ok();
            debug_assert!(complete);
            out
        }
        ExpositionFormat::OpenMetrics => open_metrics(families),
    }
}

fn open_metrics(families: &[MetricFamily]) -> String {
    let mut out = String::new();
    for family in families {
        let kind = family.get_field_type();
        // A counter's family is named without the suffix that its samples carry.
        let name = match kind {
            MetricType::COUNTER => family.name().strip_suffix("_total").unwrap_or(family.name()),
            MetricType::GAUGE | MetricType::HISTOGRAM | MetricType::SUMMARY | MetricType::UNTYPED => family.name(),
        };
        let word = match kind {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            // The gateway has none of these types.
            MetricType::SUMMARY | MetricType::UNTYPED => continue,
        };
        push(&mut out, format_args!("# TYPE {name} {word}\n# HELP {name} {}\n", escape(family.help())));
        for metric in family.get_metric() {
            sample(&mut out, name, kind, metric);
        }
    }
    out.push_str("# EOF\n");
    out
}

fn sample(out: &mut String, name: &str, kind: MetricType, metric: &Metric) {
    let labels = metric.get_label();
    match kind {
        MetricType::COUNTER => line(out, name, "_total", labels, None, metric.get_counter().get_value()),
        MetricType::GAUGE => line(out, name, "", labels, None, metric.get_gauge().get_value()),
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            let count = histogram.get_sample_count() as f64;
            for bucket in histogram.get_bucket() {
                let bound = format!("{:?}", bucket.upper_bound());
                line(out, name, "_bucket", labels, Some(&bound), bucket.cumulative_count() as f64);
            }
            line(out, name, "_bucket", labels, Some("+Inf"), count);
            line(out, name, "_count", labels, None, count);
            line(out, name, "_sum", labels, None, histogram.get_sample_sum());
        }
        MetricType::SUMMARY | MetricType::UNTYPED => {}
    }
}

fn line(out: &mut String, name: &str, suffix: &str, labels: &[LabelPair], bound: Option<&str>, value: f64) {
    out.push_str(name);
    out.push_str(suffix);
    let pairs = labels.iter().map(|pair| (pair.name(), pair.value())).chain(bound.map(|bound| ("le", bound)));
    let mut opened = false;
    for (label, text) in pairs {
        push(out, format_args!("{}{label}=\"{}\"", if opened { ',' } else { '{' }, escape(text)));
        opened = true;
    }
    if opened {
        out.push('}');
    }
    push(out, format_args!(" {value}\n"));
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

/// Writing to a `String` cannot fail.
fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::families::{BUILD, REQUESTS, SEVER, ScrapePage};

    #[test]
    fn a_scraper_gets_what_it_asks_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;\
                          q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            ("", ExpositionFormat::Prometheus),
            ("*/*", ExpositionFormat::Prometheus),
            ("text/plain", ExpositionFormat::Prometheus),
            ("text/html, nonsense;;q=", ExpositionFormat::Prometheus),
            ("application/openmetrics-text; version=1.0.0", ExpositionFormat::OpenMetrics),
            ("application/openmetrics-text; version=9.0.0", ExpositionFormat::Prometheus),
            ("application/openmetrics-text;q=0.1, text/plain;q=0.9", ExpositionFormat::Prometheus),
            (prometheus, ExpositionFormat::OpenMetrics),
        ] {
            assert_eq!(negotiate(accept), format, "{accept}");
        }
    }

    #[test]
    fn both_formats_escape_and_open_metrics_moves_the_suffix() {
        let mut page = ScrapePage::default();
        page.counter(&REQUESTS, &["a", "ingress", "GET \"\\\n", "200"], 3.0);
        let families = page.into_families();
        assert_eq!(
            encode(ExpositionFormat::Prometheus, &families),
            "# HELP vendorgate_requests_total Exchanges that ended, by the status sent to the caller\n\
             # TYPE vendorgate_requests_total counter\n\
             vendorgate_requests_total{vendor=\"a\",direction=\"ingress\",route=\"GET \\\"\\\\\\n\",status=\"200\"} 3\n"
        );
        assert_eq!(
            encode(ExpositionFormat::OpenMetrics, &families),
            "# TYPE vendorgate_requests counter\n\
             # HELP vendorgate_requests Exchanges that ended, by the status sent to the caller\n\
             vendorgate_requests_total{vendor=\"a\",direction=\"ingress\",route=\"GET \\\"\\\\\\n\",status=\"200\"} 3\n\
             # EOF\n"
        );
    }

    #[test]
    fn a_histogram_ends_with_infinity_count_and_sum() {
        let mut page = ScrapePage::default();
        let reading = crate::telemetry::cells::HistogramReading {
            cumulative: vec![(0.5, 1), (1.0, 2)],
            count: 3,
            sum_secs: 4.25,
        };
        page.histogram(&SEVER, &[], &reading);
        page.gauge(&BUILD, &["1", "c"], 1.0);
        let text = encode(ExpositionFormat::OpenMetrics, &page.into_families());
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "vendorgate_build_info{version=\"1\",commit=\"c\"} 1",
                "vendorgate_sever_seconds_bucket{le=\"0.5\"} 1",
                "vendorgate_sever_seconds_bucket{le=\"1.0\"} 2",
                "vendorgate_sever_seconds_bucket{le=\"+Inf\"} 3",
                "vendorgate_sever_seconds_count 3",
                "vendorgate_sever_seconds_sum 4.25",
            ]
        );
    }
}

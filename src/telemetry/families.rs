//! Every metric family of the gateway in one table, and the page that a scrape fills.
//!
//! To add one: a row here, and its sample where it is read (`read_vendor` and its neighbours in `metrics`, or
//! `route_metrics`). A label's value is only ever a name from the config or from a closed list, never a text that a
//! stranger chose. That is why the counters are our own and not those of the `prometheus` crate, which takes any text
//! as a label.

use std::collections::BTreeMap;

use prometheus::core::Desc;
use prometheus::proto::{self, MetricFamily, MetricType};

use super::cells::HistogramReading;

/// A metric family. Alerts and dashboards rely on it, so it is never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FamilyDefinition {
    /// Its name, with unit and, for counters, `_total`.
    pub name: &'static str,
    /// Its description, in one sentence without a full stop.
    pub help: &'static str,
    /// Its type.
    pub kind: FamilyKind,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
}

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyKind {
    /// Only rises, from 0 at the start of the process.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Buckets, count and sum.
    Histogram,
}

use FamilyKind::{Counter, Gauge, Histogram};

const fn family(
    name: &'static str,
    kind: FamilyKind,
    labels: &'static [&'static str],
    help: &'static str,
) -> FamilyDefinition {
    FamilyDefinition { name, help, kind, labels }
}

/// One constant per family, and a list of them all.
macro_rules! families {
    ($($constant:ident = $name:literal $kind:ident $labels:tt $help:literal;)+) => {
        $(pub(super) const $constant: FamilyDefinition = family($name, $kind, &$labels, $help);)+
        /// Every family that the gateway can expose.
        pub const FAMILIES: &[FamilyDefinition] = &[$($constant),+];
    };
}

families! {
    REQUESTS = "vendorgate_requests_total" Counter ["vendor", "direction", "route", "status"]
        "Exchanges that ended, by the status sent to the caller";
    DURATION = "vendorgate_request_duration_seconds" Histogram ["vendor", "direction"]
        "Time from a request's head to the last byte of its answer";
    OVERHEAD = "vendorgate_overhead_seconds" Histogram ["direction"]
        "Time spent in the gateway itself, per exchange";
    DENIALS = "vendorgate_denials_total" Counter ["vendor", "direction", "reason"]
        "Requests refused or cut short, by reason";
    WOULD_DENY = "vendorgate_would_deny_total" Counter ["vendor", "direction", "reason"]
        "Requests that a contract would have refused or cut short if it did not only observe";
    OBSERVES = "vendorgate_observes" Gauge ["vendor"]
        "1 while the vendor's contract only observes: nothing is refused or treated, raw data passes";
    IN_FLIGHT = "vendorgate_in_flight" Gauge ["vendor", "direction"]
        "Requests whose last byte has not left yet";
    RECORDS = "vendorgate_records_total" Counter ["vendor", "direction", "route"]
        "Records that left, as counted in the bodies";
    BYTES = "vendorgate_bytes_total" Counter ["vendor", "direction"]
        "Body bytes that left: answers on ingress, requests on egress";
    PII_VALUES = "vendorgate_pii_values_total" Counter ["vendor", "direction", "route", "treatment"]
        "Values treated on their way, by treatment";
    SHAPES = "vendorgate_shape_unexpected_total" Counter ["vendor", "direction", "route"]
        "Bodies that were not of the shape that the contract's records describe, refused or let by";
    UNMATCHED = "vendorgate_pii_rules_unmatched" Gauge ["vendor", "direction", "route"]
        "Rules of the route that have matched nothing since the process started";
    CALLERS = "vendorgate_caller_requests_total" Counter ["vendor", "caller"]
        "Exchanges of our own services that ended, by the service that was proven";
    REVEALS = "vendorgate_reveals_total" Counter ["vendor", "result"]
        "Tokens met where a rule reveals them: opened, or left as they were and why";
    LEASE_STARVED = "vendorgate_fleet_lease_starved_total" Counter ["vendor"]
        "Requests refused or cut because the fleet's engine granted no lease in time, with budget left";
    KILLED = "vendorgate_killed" Gauge ["vendor"]
        "1 while the vendor is cut off, wholly or in part";
    TRIPPED = "vendorgate_tripped" Gauge ["vendor"]
        "1 while a kill of the vendor stands that the gateway itself ordered, on a limit or a burst of denials";
    ANOMALY = "vendorgate_anomaly_score" Gauge ["vendor", "signal"]
        "How many times the usual noise the vendor's traffic is above the usual at this hour of the week, 0 for usual";
    SEVERED = "vendorgate_severed_total" Counter ["vendor"]
        "Exchanges that were ended in flight";
    SEVER = "vendorgate_sever_seconds" Histogram []
        "Time from a kill to the end of the last exchange that it severed";
    TOKEN_AGE = "vendorgate_token_age_seconds" Gauge ["vendor"]
        "Time since the vendor's newest token in use was issued";
    KEY_AGE = "vendorgate_signing_key_age_seconds" Gauge ["vendor"]
        "Time since the oldest signing key still offered was first seen";
    JWKS_REFRESH = "vendorgate_jwks_refresh_total" Counter ["vendor", "result"]
        "Fetches of the vendor's signing keys";
    FILE_UNREADABLE = "vendorgate_file_unreadable" Gauge ["vendor", "file"]
        "1 while a file of the vendor cannot be used as it is: what it held before stays in force";
    INTROSPECTION = "vendorgate_introspection_total" Counter ["vendor", "result"]
        "Opaque tokens of the vendor, by what its issuer was asked and said";
    CREDENTIAL_READY = "vendorgate_credential_ready" Gauge ["vendor"]
        "1 while requests can be given the credential by which the vendor knows us";
    CREDENTIAL_REFRESH = "vendorgate_credential_refresh_total" Counter ["vendor", "result"]
        "Fetches of the vendor's access tokens";
    CREDENTIAL_AGE = "vendorgate_credential_age_seconds" Gauge ["vendor"]
        "How long the oldest secret by which the vendor knows us has been in use";
    CREDENTIAL_EXPIRY = "vendorgate_credential_expiry_timestamp_seconds" Gauge ["vendor"]
        "When the first secret by which the vendor knows us is older than its max_age, in seconds since 1970";
    CONTRACT_END = "vendorgate_contract_end_timestamp_seconds" Gauge ["vendor"]
        "When the vendor's contract ends, in seconds since 1970";
    DRILL_OVERDUE = "vendorgate_drill_overdue" Gauge ["vendor"]
        "1 while the exercise of the kill switch that the contract asks for is overdue";
    LIMIT_REMAINING = "vendorgate_limit_remaining_ratio" Gauge ["vendor", "limit"]
        "Share of a limit that is left, from 1 to 0";
    UPSTREAM_HEALTHY = "vendorgate_upstream_healthy" Gauge ["vendor", "direction", "upstream", "target"]
        "1 while requests go to the target: health checks find it well, and it is not ejected";
    UPSTREAM_EJECTIONS = "vendorgate_upstream_ejections_total" Counter ["vendor", "direction", "upstream"]
        "How often a target was left out for a time, because requests to it had failed";
    UPSTREAM_RETRIES = "vendorgate_upstream_retries_total" Counter ["vendor", "direction", "upstream", "result"]
        "Requests that were sent again, and retries that the budget had no room for";
    UPSTREAM_CIRCUIT = "vendorgate_upstream_circuit_open" Gauge ["vendor", "direction", "upstream"]
        "1 while the circuit breaker lets no request through, or only a few to try";
    FALLBACKS = "vendorgate_fallbacks_total" Counter ["vendor", "direction", "route"]
        "Requests that were answered by the fallback of their route";
    JOURNEY = "vendorgate_journey_degraded" Gauge ["stage"]
        "1 while a vendor of the stage is killed, its circuit is open, or fallbacks answer for it";
    TOKEN_CACHE = "vendorgate_token_cache_total" Counter ["result"]
        "Look-ups of verified tokens";
    UNKNOWN_LISTED = "vendorgate_unknown_destinations" Gauge []
        "Destinations of no contract that our services asked for, as status --shadow lists them";
    UNKNOWN_ASKED = "vendorgate_unknown_destination_requests_total" Counter []
        "Requests of our services for a destination of no contract";
    FLEET_AGE = "vendorgate_fleet_state_age_seconds" Gauge []
        "Time since the fleet's engine was last heard of";
    FLEET_NODES = "vendorgate_fleet_nodes" Gauge ["state"]
        "Gateways of the fleet that are heard of, and those that are not";
    FLEET_PARTITIONED = "vendorgate_fleet_partitioned" Gauge []
        "1 while this gateway is cut off from the fleet's engine: kills hold here and travel later, restores wait";
    FLEET_DIFFERING = "vendorgate_fleet_contracts_differ" Gauge []
        "Gateways of the fleet whose contracts are not the same as here";
    FLEET_CUT_TRAILS = "vendorgate_fleet_audit_cut" Gauge []
        "Gateways of the fleet whose audit trail is shorter than it once was";
    GENERATION = "vendorgate_config_generation" Gauge []
        "Number of the config in force, counted from 1 at start";
    CERTIFICATE_EXPIRY = "vendorgate_certificate_expiry_timestamp_seconds" Gauge ["certificate"]
        "When a certificate that the gateway shows or signs with ends, in seconds since 1970, by its place in the config";
    STALE = "vendorgate_config_stale" Gauge []
        "1 while the config on disk could not be loaded, so that an older one is in force";
    RELOAD = "vendorgate_config_reload_total" Counter ["result"]
        "Attempts to load a changed config";
    STATE_ERRORS = "vendorgate_state_errors_total" Counter ["store"]
        "Failed reads and writes of durable or shared state";
    LOG_DROPPED = "vendorgate_log_dropped_total" Counter ["log"]
        "Log lines lost because their reader was too slow, by log";
    CONNECTIONS = "vendorgate_connections" Gauge ["listeners"]
        "Open connections: of vendors and services, or of operators and probes";
    CONNECTIONS_MAX = "vendorgate_connections_max" Gauge ["listeners"]
        "Most connections that may be open";
    CONNECTIONS_SHED = "vendorgate_connections_shed_total" Counter ["listeners", "why"]
        "Connections ended to make room, or because their head was late";
    BUILD = "vendorgate_build_info" Gauge ["version", "commit"]
        "1, with the version and commit of this build as labels";
    PROCESS_CPU = "process_cpu_seconds_total" Counter []
        "User and system CPU time of the process";
    PROCESS_RESIDENT = "process_resident_memory_bytes" Gauge []
        "Resident memory of the process";
    PROCESS_VIRTUAL = "process_virtual_memory_bytes" Gauge []
        "Virtual memory of the process";
    PROCESS_OPEN_FDS = "process_open_fds" Gauge []
        "Open file descriptors of the process";
    PROCESS_MAX_FDS = "process_max_fds" Gauge []
        "Most file descriptors that the process may open";
    PROCESS_THREADS = "process_threads" Gauge []
        "Threads of the process";
    PROCESS_START = "process_start_time_seconds" Gauge []
        "When the process started, in seconds since 1970";
}

/// The samples of one scrape, by family.
#[derive(Debug, Default)]
pub(super) struct ScrapePage(BTreeMap<&'static str, MetricFamily>);

impl ScrapePage {
    pub(super) fn counter(&mut self, family: &FamilyDefinition, labels: &[&str], value: f64) {
        let mut counter = proto::Counter::default();
        counter.set_value(value);
        self.push(family, labels, |metric| metric.set_counter(counter));
    }

    pub(super) fn gauge(&mut self, family: &FamilyDefinition, labels: &[&str], value: f64) {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        self.push(family, labels, |metric| metric.set_gauge(gauge));
    }

    /// A gauge that is 1 or 0.
    pub(super) fn flag(&mut self, family: &FamilyDefinition, labels: &[&str], set: bool) {
        self.gauge(family, labels, f64::from(u8::from(set)));
    }

    pub(super) fn histogram(&mut self, family: &FamilyDefinition, labels: &[&str], reading: &HistogramReading) {
        let mut histogram = proto::Histogram::default();
        histogram.set_sample_count(reading.count);
        histogram.set_sample_sum(reading.sum_secs);
        histogram.set_bucket(reading.cumulative.iter().map(|&(bound, count)| bucket(bound, count)).collect());
        self.push(family, labels, |metric| metric.set_histogram(histogram));
    }

    pub(super) fn into_families(self) -> Vec<MetricFamily> {
        self.0.into_values().collect()
    }

    fn push(&mut self, family: &FamilyDefinition, labels: &[&str], fill: impl FnOnce(&mut proto::Metric)) {
        debug_assert_eq!(family.labels.len(), labels.len(), "{}", family.name);
        let pairs = family.labels.iter().zip(labels).map(|(name, value)| pair(name, value)).collect();
        let mut metric = proto::Metric::from_label(pairs);
        fill(&mut metric);
        self.0.entry(family.name).or_insert_with(|| empty(family)).mut_metric().push(metric);
    }
}

impl FamilyDefinition {
    /// The description that the registry asks for.
    pub(super) fn describe(&self) -> prometheus::Result<Desc> {
        let labels = self.labels.iter().map(|&label| label.to_owned()).collect();
        Desc::new(self.name.to_owned(), self.help.to_owned(), labels, Default::default())
    }
}

fn empty(family: &FamilyDefinition) -> MetricFamily {
    let mut empty = MetricFamily::default();
    empty.set_name(family.name.to_owned());
    empty.set_help(family.help.to_owned());
    empty.set_field_type(match family.kind {
        Counter => MetricType::COUNTER,
        Gauge => MetricType::GAUGE,
        Histogram => MetricType::HISTOGRAM,
    });
    empty
}

fn pair(name: &str, value: &str) -> proto::LabelPair {
    let mut pair = proto::LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn bucket(bound: f64, count: u64) -> proto::Bucket {
    let mut bucket = proto::Bucket::default();
    bucket.set_upper_bound(bound);
    bucket.set_cumulative_count(count);
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        let names: std::collections::BTreeSet<_> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len());
        for family in FAMILIES {
            assert_eq!(family.name.ends_with("_total"), family.kind == Counter, "{}", family.name);
            assert!(!family.help.is_empty() && !family.help.ends_with('.'), "{}", family.name);
            assert!(family.describe().is_ok(), "{}", family.name);
        }
    }

    #[test]
    fn the_docs_list_exactly_the_families_with_their_labels() {
        let page = include_str!("../../docs/interface.md");
        let (_, section) = page.split_once("\n## Metrics\n").expect("a heading");
        let (section, _) = section.split_once("\n## ").expect("a heading after");
        let mut listed: Vec<_> = section.split('`').filter(|text| text.starts_with("vendorgate_")).collect();
        listed.sort_unstable();
        let ours = FAMILIES.iter().filter(|family| family.name.starts_with("vendorgate_"));
        let mut exposed: Vec<_> = ours.map(written).collect();
        exposed.sort_unstable();
        assert_eq!(listed, exposed);
    }

    #[test]
    fn the_alerts_use_only_families_that_exist() {
        let rules = include_str!("../../config/prometheus/alerts.yaml");
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let asked: Vec<_> = rules.split(word).filter(|name| name.starts_with("vendorgate_")).collect();
        assert!(asked.len() > 10, "{asked:?}");
        for name in asked {
            let name = name.trim_end_matches("_bucket");
            assert!(FAMILIES.iter().any(|family| family.name == name), "{name}");
        }
    }

    #[test]
    fn the_dashboards_use_only_families_that_exist() {
        for page in [
            include_str!("../../config/grafana/fleet.json"),
            include_str!("../../config/grafana/vendor.json"),
            include_str!("../../config/grafana/egress.json"),
        ] {
            let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            let asked: Vec<_> = page.split(word).filter(|name| name.starts_with("vendorgate_")).collect();
            assert!(asked.len() > 10, "{asked:?}");
            for name in asked {
                let name = name.trim_end_matches("_bucket");
                assert!(FAMILIES.iter().any(|family| family.name == name), "{name}");
            }
        }
    }

    #[test]
    fn every_alert_leads_to_a_section_of_the_runbook() {
        let rules = include_str!("../../config/prometheus/alerts.yaml");
        let runbook = include_str!("../../docs/operations.md");
        let alerts = || rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
        assert!(alerts().count() > 10);
        for name in alerts() {
            let link = format!("docs/operations.md#{}\"", name.to_lowercase());
            assert!(rules.contains(&link), "{name} has no runbook_url that ends in {link}");
            let (_, section) = runbook.split_once(&format!("\n### {name}\n")).expect(name);
            assert!(section.starts_with("`vendorgate "), "the section of {name} begins with what to type");
        }
    }

    fn written(family: &FamilyDefinition) -> String {
        match family.labels {
            [] => family.name.to_owned(),
            labels => format!("{}{{{}}}", family.name, labels.join(",")),
        }
    }
}

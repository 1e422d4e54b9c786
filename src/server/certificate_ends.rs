//! When the certificates end that the gateway shows or signs with, for the metric.

use std::collections::BTreeMap;

use crate::config::GatewaySettings;
use crate::http::pem;
use crate::telemetry::Metrics;

/// Exposes the ends of the certificates of a config that has come in force. A file that cannot be read is left out,
/// because what is wrong with it is told where it is used.
pub(super) fn expose(config: &GatewaySettings, metrics: &Metrics) {
    let end = |certificate: crate::config::NamedCertificate<'_>| {
        let content = std::fs::read(certificate.file).ok()?;
        Some((certificate.place, pem::chain_end(&content).ok()?))
    };
    metrics.certificate_ends(config.certificates().into_iter().filter_map(end).collect::<BTreeMap<_, _>>());
}

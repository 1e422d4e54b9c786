//! What a vendor has for tunnels whose bytes pass unread, where its contract lets them.

use std::sync::{Arc, OnceLock};

use super::super::snapshot::{RouteRuntime, TunnelRuntime};
use super::super::vendor_upstreams::ConnectionServices;
use crate::config::{Contract, TunnelMode};
use crate::exposure::{ExposureCounters, ExposureProfile};
use crate::kill::RouteTag;
use crate::model::Direction;
use crate::pii::ClearList;
use crate::policy::RouteTerms;
use crate::telemetry::TrafficMetrics;
use crate::upstream::{ConnectError, TunnelConnector, UpstreamConnector};

/// The name of the route that stands for all tunnels of a vendor in policies, counters and kills.
pub(in crate::gateway) const TUNNEL_ROUTE: &str = "CONNECT";

/// Tunnels to a vendor; `None` where its contract does not let their bytes pass unread. `first` is one of its egress
/// routes, all of which have the vendor's one upstream.
///
/// # Errors
/// [`ConnectError`] when the vendor can never be connected to.
pub(in crate::gateway) fn tunnel_runtime(
    contract: &Contract,
    connections: &ConnectionServices<'_>,
    (traffic, exposure): (&TrafficMetrics, &ExposureCounters),
    first: &RouteRuntime,
) -> Result<Option<TunnelRuntime>, ConnectError> {
    let settings = contract.egress.as_slice().first().map(|route| &route.upstream);
    let Some(settings) = settings.filter(|_| contract.reach.tunnel == TunnelMode::Opaque) else { return Ok(None) };
    let connector = UpstreamConnector::new(settings, connections.tls)?.avoiding(connections.own_addresses);
    let connector = TunnelConnector::new(connector, Arc::clone(connections.sockets));
    let profile = ExposureProfile {
        vendor: contract.vendor.clone(),
        direction: Direction::Egress,
        route: TUNNEL_ROUTE.into(),
        rules: Vec::new(),
        clear: None,
        listed: ClearList::default(),
    };
    let route = Arc::new(RouteRuntime {
        name: TUNNEL_ROUTE.into(),
        captures: Box::default(),
        tag: RouteTag::of(TUNNEL_ROUTE),
        // It has no limits of its own beside the vendor's.
        terms: RouteTerms { ledger_index: usize::MAX, counts_records: false, ..first.terms.clone() },
        ledger: Arc::clone(&first.ledger),
        upstream: Arc::clone(&first.upstream),
        upstream_name: first.upstream_name.clone(),
        websocket: false,
        allow_encoded_slash: false,
        fallback: None,
        parameters: None,
        request: None,
        response: None,
        observed: None,
        credential: None,
        metrics: traffic.route(TUNNEL_ROUTE),
        exposure: exposure.handle(profile),
        rate_policy: OnceLock::new(),
    });
    Ok(Some(TunnelRuntime { route, connector }))
}

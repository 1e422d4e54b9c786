//! Calls that are open to anyone who reaches the listener: probes, metrics and the API's description.

use http::{StatusCode, header};

use super::api::AdminApi;
use super::control::AdminControl;
use super::endpoint::{Endpoint, EndpointSpec, QueryParameter};
use super::{openapi, reply};
use crate::telemetry::negotiate;

const VERBOSE: QueryParameter = QueryParameter::optional("verbose", "List what was looked at");

impl<C: AdminControl> AdminApi<C> {
    pub(super) const PROBES: &'static [Endpoint<C>] = &[
        EndpointSpec::get("/healthz", "Whether the process lives; the same as /livez")
            .open(|_, _, _| reply::plain("ok\n".into())),
        EndpointSpec::get("/livez", "Whether the process lives").open(|_, _, _| reply::plain("ok\n".into())),
        EndpointSpec::get("/readyz", "Whether the gateway can do its work")
            .parameters(&[VERBOSE])
            .open(|api, _, query| reply::ready(&api.control.readiness(), query.value("verbose").is_some())),
        EndpointSpec::get("/metrics", "Metrics, as Prometheus text or OpenMetrics").open(|api, head, _| {
            let accept = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
            let format = negotiate(accept.unwrap_or_default());
            reply::text(StatusCode::OK, format.content_type(), api.metrics.render(format))
        }),
        EndpointSpec::get("/openapi.json", "This description")
            .answers_any_object()
            .open(|_, _, _| reply::json(&openapi::describe::<C>())),
    ];
}

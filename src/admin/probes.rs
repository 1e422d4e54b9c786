//! Calls that are open to anyone who reaches the listener: probes, metrics and the API's description.

use http::{StatusCode, header};

use super::api::AdminApi;
use super::control::AdminControl;
use super::endpoint::{AdminMethod, AnswerBody, Endpoint, Handler, OrderBody, QueryParameter};
use super::{openapi, reply};
use crate::telemetry::negotiate;

const VERBOSE: QueryParameter = QueryParameter::optional("verbose", "List what was looked at");

impl<C: AdminControl> AdminApi<C> {
    pub(super) const PROBES: &'static [Endpoint<C>] = &[
        Endpoint {
            method: AdminMethod::Get,
            path: "/healthz",
            description: "Whether the process lives; the same as /livez",
            parameters: &[],
            order: OrderBody::None,
            answer: AnswerBody::Text,
            handler: Handler::Open(|_, _, _| reply::plain("ok\n".into())),
        },
        Endpoint {
            method: AdminMethod::Get,
            path: "/livez",
            description: "Whether the process lives",
            parameters: &[],
            order: OrderBody::None,
            answer: AnswerBody::Text,
            handler: Handler::Open(|_, _, _| reply::plain("ok\n".into())),
        },
        Endpoint {
            method: AdminMethod::Get,
            path: "/readyz",
            description: "Whether the gateway can do its work",
            parameters: &[VERBOSE],
            order: OrderBody::None,
            answer: AnswerBody::Text,
            handler: Handler::Open(|api, _, query| {
                reply::ready(&api.control.readiness(), query.value("verbose").is_some())
            }),
        },
        Endpoint {
            method: AdminMethod::Get,
            path: "/metrics",
            description: "Metrics, as Prometheus text or OpenMetrics",
            parameters: &[],
            order: OrderBody::None,
            answer: AnswerBody::Text,
            handler: Handler::Open(|api, head, _| {
                let accept = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
                let format = negotiate(accept.unwrap_or_default());
                reply::text(StatusCode::OK, format.content_type(), api.metrics.render(format))
            }),
        },
        Endpoint {
            method: AdminMethod::Get,
            path: "/openapi.json",
            description: "This description",
            parameters: &[],
            order: OrderBody::None,
            answer: AnswerBody::AnyObject,
            handler: Handler::Open(|_, _, _| reply::json(&openapi::describe::<C>())),
        },
    ];
}

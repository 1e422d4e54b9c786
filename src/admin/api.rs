//! One admin call, from request to answer: guard, look up, authorize, read, do.
//!
//! Always answers, and tells [`AdminControl`] about every call that it refuses.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use serde::de::DeserializeOwned;

use super::answers::VendorList;
use super::control::{Actor, AdminControl, AdminPeer, AuditQuery, ControlError, RefusedCall};
use super::guard::{self, AllowedHosts};
use super::openapi;
use super::operators::OperatorDirectory;
use super::orders::{DrillOrder, EmptyBody, OperatorOrder, OrderError, parse_since};
use super::problem::AdminError;
use super::query::AdminQuery;
use super::reply::{self, AdminReply};
use super::reveal::RevealOrder;
use super::revoked::RevokeOrder;
use super::scheduled::{ScheduledKills, UnscheduleOrder};
use super::table::{AdminCall, AdminMethod, CallMatch, Endpoint, GatewayCall, ProbeCall, VendorCall, match_call};
use crate::bounds::{ADMIN_BODY_BYTES_MAX, ADMIN_READ_DEADLINE};
use crate::config::OperatorRole;
use crate::http::{FramingError, SlotHolder};
use crate::model::{Clock, Moment, UnixTime, VendorId};
use crate::telemetry::{Metrics, negotiate};

/// The admin calls of one gateway.
pub struct AdminApi {
    control: Arc<dyn AdminControl>,
    metrics: Metrics,
    clock: Clock,
    hosts: AllowedHosts,
    operators: ArcSwap<OperatorDirectory>,
}

impl std::fmt::Debug for AdminApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// What the audit trail is told of a call, as far as it is known.
#[derive(Default)]
struct CallTrace {
    call: Option<&'static str>,
    operator: Option<String>,
}

impl AdminApi {
    /// Calls that act through `control`, and nobody who may make them but by the Unix socket.
    pub fn new(control: Arc<dyn AdminControl>, metrics: Metrics, clock: Clock, hosts: AllowedHosts) -> Self {
        Self { control, metrics, clock, hosts, operators: ArcSwap::default() }
    }

    /// Changes who may make calls, from the next call on.
    pub fn set_operators(&self, operators: OperatorDirectory) {
        self.operators.store(Arc::new(operators));
    }

    /// Answers one request. Dropping the future may leave an order half done: let it run to its end.
    pub async fn handle<B>(&self, request: Request<B>, peer: AdminPeer) -> AdminReply
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let mut trace = CallTrace::default();
        let answered = self.answer(&head, body, peer, &mut trace).await;
        let mut reply = answered.unwrap_or_else(|no| self.refuse(&no, peer, &trace));
        reply::add_security_headers(&mut reply);
        if head.method == Method::HEAD {
            *reply.body_mut() = Full::default();
        }
        reply
    }

    /// What its clock says.
    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The answer to a call that ended without one.
    pub(super) fn internal_error(&self, peer: AdminPeer) -> AdminReply {
        self.refuse(&AdminError::Broken, peer, &CallTrace::default())
    }

    /// The answer to bytes that can be read in more than one way.
    pub(super) fn malformed(&self, peer: AdminPeer, flaw: FramingError) -> AdminReply {
        self.refuse(&AdminError::HeadMalformed(flaw), peer, &CallTrace::default())
    }

    async fn answer<B>(
        &self,
        head: &Parts,
        body: B,
        peer: AdminPeer,
        trace: &mut CallTrace,
    ) -> Result<AdminReply, AdminError>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let found = match_call(head.method.as_str(), head.uri.path());
        trace.call = match &found {
            CallMatch::Call(endpoint, _) => Some(endpoint.name),
            CallMatch::OtherMethod(_) | CallMatch::Nothing => None,
        };
        guard::check_origin(head, &self.hosts)?;
        let (endpoint, vendor) = match found {
            CallMatch::Call(endpoint, vendor) => (endpoint, vendor),
            CallMatch::OtherMethod(allow) => return Err(AdminError::MethodWrong { allow }),
            CallMatch::Nothing => return Err(AdminError::CallUnknown),
        };
        let query = || AdminQuery::read(head.uri.query(), endpoint);
        match endpoint.call {
            AdminCall::Open(probe) => Ok(self.open(probe, head, &query()?)),
            AdminCall::OnVendor(role, call) => {
                let actor = self.authorize(head, peer, role, trace)?;
                let vendor = VendorId::parse(vendor).map_err(|_| AdminError::Control(ControlError::VendorUnknown))?;
                query()?;
                let body = read_body(endpoint, head, body).await?;
                self.on_vendor(call, &actor, &vendor, &body).await
            }
            AdminCall::OnGateway(role, call) => {
                let actor = self.authorize(head, peer, role, trace)?;
                let query = query()?;
                let body = read_body(endpoint, head, body).await?;
                self.on_gateway(call, &actor, &query, &body).await
            }
        }
    }

    fn authorize(
        &self,
        head: &Parts,
        peer: AdminPeer,
        needs: OperatorRole,
        trace: &mut CallTrace,
    ) -> Result<Actor, AdminError> {
        match guard::authorize(&head.headers, peer, needs, &self.operators.load()) {
            Ok(actor) => {
                // An operator's connection makes room for no stranger's.
                if let Some(seat) = head.extensions.get::<Arc<SlotHolder>>() {
                    seat.mark_proven();
                }
                trace.operator = Some(actor.name.clone());
                Ok(actor)
            }
            Err((no, operator)) => {
                trace.operator = operator;
                Err(no)
            }
        }
    }

    fn open(&self, probe: ProbeCall, head: &Parts, query: &AdminQuery) -> AdminReply {
        match probe {
            ProbeCall::Live => reply::text(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".into()),
            ProbeCall::Ready => reply::ready(&self.control.readiness(), query.value("verbose").is_some()),
            ProbeCall::Metrics => {
                let accept = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
                let format = negotiate(accept.unwrap_or_default());
                reply::text(StatusCode::OK, format.content_type(), self.metrics.render(format))
            }
            ProbeCall::OpenApi => reply::json(&openapi::describe()),
        }
    }

    async fn on_vendor(
        &self,
        call: VendorCall,
        actor: &Actor,
        vendor: &VendorId,
        body: &[u8],
    ) -> Result<AdminReply, AdminError> {
        match call {
            VendorCall::Status => {
                let status = self.control.vendor(vendor).ok_or(AdminError::Control(ControlError::VendorUnknown))?;
                Ok(reply::json(&status))
            }
            VendorCall::Kill => self.kill(actor, Some(vendor), &parse_order(body, OperatorOrder::check)?).await,
            VendorCall::Restore => {
                json_result(self.control.restore(actor, vendor, &parse_restore(body, OperatorOrder::check)?).await)
            }
            VendorCall::Drill => {
                let order: DrillOrder = parse(body)?;
                order.check().map_err(AdminError::Order)?;
                json_result(self.control.drill(actor, vendor, &order).await)
            }
            VendorCall::Revoke => {
                let order: RevokeOrder = parse(body)?;
                let what = order.revocation().map_err(AdminError::Order)?;
                json_result(self.control.revoke(actor, vendor, &what, &order.reason).await)
            }
            VendorCall::Lift => {
                let order: RevokeOrder = parse(body)?;
                let what = order.revocation().map_err(AdminError::Order)?;
                json_result(self.control.lift(actor, vendor, &what, &order.reason).await)
            }
        }
    }

    async fn on_gateway(
        &self,
        call: GatewayCall,
        actor: &Actor,
        query: &AdminQuery,
        body: &[u8],
    ) -> Result<AdminReply, AdminError> {
        match call {
            GatewayCall::Vendors => Ok(reply::json(&VendorList { vendors: self.control.vendors() })),
            GatewayCall::Exposure => {
                let vendor = VendorId::parse(query.value("vendor").unwrap_or_default());
                let vendor = vendor.map_err(|_| AdminError::QueryMalformed("write ?vendor=ID"))?;
                json_result(self.control.exposure(&vendor, self.since(query)?).await)
            }
            GatewayCall::Why => {
                let id = query.value("id").ok_or(AdminError::QueryMalformed("write ?id=REQUEST_ID"))?;
                self.control
                    .why(id)
                    .map(|failed| reply::json(&failed))
                    .ok_or(AdminError::Control(ControlError::RequestUnknown))
            }
            GatewayCall::Audit => {
                let from = AuditQuery { since: self.since(query)?, after: query.after()?, limit: query.limit()? };
                json_result(self.control.audit(from).await)
            }
            GatewayCall::KillAll => self.kill(actor, None, &parse_order(body, OperatorOrder::check_for_all)?).await,
            GatewayCall::Revocations => Ok(reply::json(&self.control.revocations())),
            GatewayCall::Scheduled => Ok(reply::json(&ScheduledKills { scheduled: self.control.scheduled() })),
            GatewayCall::Unschedule => {
                let order: UnscheduleOrder = parse(body)?;
                order.check().map_err(AdminError::Order)?;
                json_result(self.control.unschedule(actor, &order).await)
            }
            GatewayCall::RestoreAll => {
                json_result(self.control.restore_all(actor, &parse_restore(body, OperatorOrder::check_for_all)?).await)
            }
            GatewayCall::Reveal => {
                let order: RevealOrder = parse(body)?;
                order.check().map_err(AdminError::Order)?;
                json_result(self.control.reveal(actor, &order).await)
            }
            GatewayCall::Reload => {
                let EmptyBody {} = parse(body)?;
                json_result(self.control.reload(actor).await)
            }
        }
    }

    /// A kill of one vendor or of all: tried out, put off or carried out.
    async fn kill(
        &self,
        actor: &Actor,
        vendor: Option<&VendorId>,
        order: &OperatorOrder,
    ) -> Result<AdminReply, AdminError> {
        if order.dry_run {
            return json_result(self.control.preview(vendor, order).await);
        }
        match (order.due(self.clock.now().wall).map_err(AdminError::Order)?, vendor) {
            (Some(at), _) => json_result(self.control.schedule(actor, vendor, order, at).await),
            (None, Some(vendor)) => json_result(self.control.kill(actor, vendor, order).await),
            (None, None) => json_result(self.control.kill_all(actor, order).await),
        }
    }

    fn since(&self, query: &AdminQuery) -> Result<Option<UnixTime>, AdminError> {
        let Some(text) = query.value("since") else { return Ok(None) };
        let since = parse_since(text, self.clock.now().wall);
        since.map(Some).ok_or(AdminError::QueryMalformed("write since as 2026-11-21T20:00:00Z, or how long ago: 24h"))
    }

    fn refuse(&self, no: &AdminError, peer: AdminPeer, trace: &CallTrace) -> AdminReply {
        let request_id = reply::request_id();
        self.control.refused(&RefusedCall {
            at: self.clock.now().wall,
            peer,
            operator: trace.operator.as_deref(),
            call: trace.call,
            reason: no.reason(),
            request_id: &request_id,
        });
        no.response(&request_id)
    }
}

/// The body of a call that has one, which must be JSON.
async fn read_body<B>(endpoint: &Endpoint, head: &Parts, body: B) -> Result<Bytes, AdminError>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match endpoint.verb {
        AdminMethod::Get => Ok(Bytes::new()),
        // Nothing to say is no mistake where a call asks for nothing: `curl -X POST` sends no body and no type.
        AdminMethod::Post if body.is_end_stream() && endpoint.needs_no_body() => Ok(Bytes::from_static(b"{}")),
        AdminMethod::Post if guard::is_json(&head.headers) => read(body).await,
        AdminMethod::Post => Err(AdminError::ContentType),
    }
}

async fn read<B>(body: B) -> Result<Bytes, AdminError>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let bounded = Limited::new(Box::pin(body), ADMIN_BODY_BYTES_MAX);
    #[expect(clippy::disallowed_methods, reason = "an order of a few lines, bounded by the line above")]
    let collected = tokio::time::timeout(ADMIN_READ_DEADLINE, bounded.collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(AdminError::BodyTooLarge),
        Ok(Err(_)) => Err(AdminError::BodyMalformed("the body broke off".into())),
        Err(_) => Err(AdminError::BodySlow),
    }
}

/// Reads an order. What is said about a fault names keys and places, and never repeats a value.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AdminError> {
    // A list would be read too, its items taken for the members in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(AdminError::BodyMalformed("must be a JSON object".into()));
    }
    serde_json::from_slice(body).map_err(|error| AdminError::BodyMalformed(error.to_string()))
}

fn parse_order(body: &[u8], check: fn(&OperatorOrder) -> Result<(), OrderError>) -> Result<OperatorOrder, AdminError> {
    let order: OperatorOrder = parse(body)?;
    check(&order).map_err(AdminError::Order)?;
    Ok(order)
}

/// An order that can neither be tried out nor put off.
fn parse_restore(
    body: &[u8],
    check: fn(&OperatorOrder) -> Result<(), OrderError>,
) -> Result<OperatorOrder, AdminError> {
    let order = parse_order(body, check)?;
    if order.dry_run || order.at.is_some() { Err(AdminError::Order(OrderError::NotForRestore)) } else { Ok(order) }
}

fn json_result<T: serde::Serialize>(answer: Result<T, ControlError>) -> Result<AdminReply, AdminError> {
    answer.map(|answer| reply::json(&answer)).map_err(AdminError::Control)
}

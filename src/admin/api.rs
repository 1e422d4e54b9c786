//! One admin call, from request to answer: guard, look up, authorize, read, do.
//!
//! Always answers, and tells [`Control`] about every call that it refuses.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use serde::de::DeserializeOwned;

use super::answers::VendorList;
use super::control::{Actor, AuditFrom, Control, ControlError, Peer, Refused};
use super::guard::{self, Hosts};
use super::openapi;
use super::operators::Operators;
use super::orders::{DrillOrder, Nothing, Order, OrderError, parse_since};
use super::problem::No;
use super::query::Query;
use super::reply::{self, Reply};
use super::reveal::RevealOrder;
use super::revoked::RevokeOrder;
use super::scheduled::{ScheduledKills, UnscheduleOrder};
use super::table::{Call, Endpoint, Found, GatewayCall, Probe, VendorCall, Verb, find};
use crate::bounds::{ADMIN_BODY_BYTES_MAX, ADMIN_READ_DEADLINE};
use crate::config::Role;
use crate::http::{Flaw, Seat};
use crate::model::{Clock, Moment, UnixTime, VendorId};
use crate::telemetry::{Metrics, negotiate};

/// The admin calls of one gateway.
pub struct Api {
    control: Arc<dyn Control>,
    metrics: Metrics,
    clock: Clock,
    hosts: Hosts,
    operators: ArcSwap<Operators>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// What the audit trail is told of a call, as far as it is known.
#[derive(Default)]
struct Trace {
    call: Option<&'static str>,
    operator: Option<String>,
}

impl Api {
    /// Calls that act through `control`, and nobody who may make them but by the Unix socket.
    pub fn new(control: Arc<dyn Control>, metrics: Metrics, clock: Clock, hosts: Hosts) -> Self {
        Self { control, metrics, clock, hosts, operators: ArcSwap::default() }
    }

    /// Changes who may make calls, from the next call on.
    pub fn set_operators(&self, operators: Operators) {
        self.operators.store(Arc::new(operators));
    }

    /// Answers one request. Dropping the future may leave an order half done: let it run to its end.
    pub async fn handle<B>(&self, request: Request<B>, peer: Peer) -> Reply
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let mut trace = Trace::default();
        let answered = self.answer(&head, body, peer, &mut trace).await;
        let mut reply = answered.unwrap_or_else(|no| self.refuse(&no, peer, &trace));
        reply::harden(&mut reply);
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
    pub(super) fn broken(&self, peer: Peer) -> Reply {
        self.refuse(&No::Broken, peer, &Trace::default())
    }

    /// The answer to bytes that can be read in more than one way.
    pub(super) fn malformed(&self, peer: Peer, flaw: Flaw) -> Reply {
        self.refuse(&No::HeadMalformed(flaw), peer, &Trace::default())
    }

    async fn answer<B>(&self, head: &Parts, body: B, peer: Peer, trace: &mut Trace) -> Result<Reply, No>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let found = find(head.method.as_str(), head.uri.path());
        trace.call = match &found {
            Found::Call(endpoint, _) => Some(endpoint.name),
            Found::OtherMethod(_) | Found::Nothing => None,
        };
        guard::check_origin(head, &self.hosts)?;
        let (endpoint, vendor) = match found {
            Found::Call(endpoint, vendor) => (endpoint, vendor),
            Found::OtherMethod(allow) => return Err(No::MethodWrong { allow }),
            Found::Nothing => return Err(No::CallUnknown),
        };
        let query = || Query::read(head.uri.query(), endpoint);
        match endpoint.call {
            Call::Open(probe) => Ok(self.open(probe, head, &query()?)),
            Call::OnVendor(role, call) => {
                let actor = self.authorize(head, peer, role, trace)?;
                let vendor = VendorId::parse(vendor).map_err(|_| No::Control(ControlError::VendorUnknown))?;
                query()?;
                let body = body_of(endpoint, head, body).await?;
                self.on_vendor(call, &actor, &vendor, &body).await
            }
            Call::OnGateway(role, call) => {
                let actor = self.authorize(head, peer, role, trace)?;
                let query = query()?;
                let body = body_of(endpoint, head, body).await?;
                self.on_gateway(call, &actor, &query, &body).await
            }
        }
    }

    fn authorize(&self, head: &Parts, peer: Peer, needs: Role, trace: &mut Trace) -> Result<Actor, No> {
        match guard::authorize(&head.headers, peer, needs, &self.operators.load()) {
            Ok(actor) => {
                // An operator's connection makes room for no stranger's.
                if let Some(seat) = head.extensions.get::<Arc<Seat>>() {
                    seat.prove();
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

    fn open(&self, probe: Probe, head: &Parts, query: &Query) -> Reply {
        match probe {
            Probe::Live => reply::text(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".into()),
            Probe::Ready => reply::ready(&self.control.readiness(), query.value("verbose").is_some()),
            Probe::Metrics => {
                let accept = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
                let format = negotiate(accept.unwrap_or_default());
                reply::text(StatusCode::OK, format.content_type(), self.metrics.render(format))
            }
            Probe::OpenApi => reply::json(&openapi::describe()),
        }
    }

    async fn on_vendor(&self, call: VendorCall, actor: &Actor, vendor: &VendorId, body: &[u8]) -> Result<Reply, No> {
        match call {
            VendorCall::Status => {
                let status = self.control.vendor(vendor).ok_or(No::Control(ControlError::VendorUnknown))?;
                Ok(reply::json(&status))
            }
            VendorCall::Kill => self.kill(actor, Some(vendor), &order(body, Order::check)?).await,
            VendorCall::Restore => done(self.control.restore(actor, vendor, &meant(body, Order::check)?).await),
            VendorCall::Drill => {
                let order: DrillOrder = parse(body)?;
                order.check().map_err(No::Order)?;
                done(self.control.drill(actor, vendor, &order).await)
            }
            VendorCall::Revoke => {
                let order: RevokeOrder = parse(body)?;
                let what = order.revocation().map_err(No::Order)?;
                done(self.control.revoke(actor, vendor, &what, &order.reason).await)
            }
            VendorCall::Lift => {
                let order: RevokeOrder = parse(body)?;
                let what = order.revocation().map_err(No::Order)?;
                done(self.control.lift(actor, vendor, &what, &order.reason).await)
            }
        }
    }

    async fn on_gateway(&self, call: GatewayCall, actor: &Actor, query: &Query, body: &[u8]) -> Result<Reply, No> {
        match call {
            GatewayCall::Vendors => Ok(reply::json(&VendorList { vendors: self.control.vendors() })),
            GatewayCall::Exposure => {
                let vendor = VendorId::parse(query.value("vendor").unwrap_or_default());
                let vendor = vendor.map_err(|_| No::QueryMalformed("write ?vendor=ID"))?;
                done(self.control.exposure(&vendor, self.since(query)?).await)
            }
            GatewayCall::Why => {
                let id = query.value("id").ok_or(No::QueryMalformed("write ?id=REQUEST_ID"))?;
                self.control.why(id).map(|failed| reply::json(&failed)).ok_or(No::Control(ControlError::RequestUnknown))
            }
            GatewayCall::Audit => {
                let from = AuditFrom { since: self.since(query)?, after: query.after()?, limit: query.limit()? };
                done(self.control.audit(from).await)
            }
            GatewayCall::KillAll => self.kill(actor, None, &order(body, Order::check_for_all)?).await,
            GatewayCall::Revocations => Ok(reply::json(&self.control.revocations())),
            GatewayCall::Scheduled => Ok(reply::json(&ScheduledKills { scheduled: self.control.scheduled() })),
            GatewayCall::Unschedule => {
                let order: UnscheduleOrder = parse(body)?;
                order.check().map_err(No::Order)?;
                done(self.control.unschedule(actor, &order).await)
            }
            GatewayCall::RestoreAll => done(self.control.restore_all(actor, &meant(body, Order::check_for_all)?).await),
            GatewayCall::Reveal => {
                let order: RevealOrder = parse(body)?;
                order.check().map_err(No::Order)?;
                done(self.control.reveal(actor, &order).await)
            }
            GatewayCall::Reload => {
                let Nothing {} = parse(body)?;
                done(self.control.reload(actor).await)
            }
        }
    }

    /// A kill of one vendor or of all: tried out, put off or carried out.
    async fn kill(&self, actor: &Actor, vendor: Option<&VendorId>, order: &Order) -> Result<Reply, No> {
        if order.dry_run {
            return done(self.control.preview(vendor, order).await);
        }
        match (order.due(self.clock.now().wall).map_err(No::Order)?, vendor) {
            (Some(at), _) => done(self.control.schedule(actor, vendor, order, at).await),
            (None, Some(vendor)) => done(self.control.kill(actor, vendor, order).await),
            (None, None) => done(self.control.kill_all(actor, order).await),
        }
    }

    fn since(&self, query: &Query) -> Result<Option<UnixTime>, No> {
        let Some(text) = query.value("since") else { return Ok(None) };
        let since = parse_since(text, self.clock.now().wall);
        since.map(Some).ok_or(No::QueryMalformed("write since as 2026-11-21T20:00:00Z, or how long ago: 24h"))
    }

    fn refuse(&self, no: &No, peer: Peer, trace: &Trace) -> Reply {
        let request_id = reply::request_id();
        self.control.refused(&Refused {
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
async fn body_of<B>(endpoint: &Endpoint, head: &Parts, body: B) -> Result<Bytes, No>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match endpoint.verb {
        Verb::Get => Ok(Bytes::new()),
        // Nothing to say is no mistake where a call asks for nothing: `curl -X POST` sends no body and no type.
        Verb::Post if body.is_end_stream() && endpoint.asks_nothing() => Ok(Bytes::from_static(b"{}")),
        Verb::Post if guard::is_json(&head.headers) => read(body).await,
        Verb::Post => Err(No::ContentType),
    }
}

async fn read<B>(body: B) -> Result<Bytes, No>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let bounded = Limited::new(Box::pin(body), ADMIN_BODY_BYTES_MAX);
    #[expect(clippy::disallowed_methods, reason = "an order of a few lines, bounded by the line above")]
    let collected = tokio::time::timeout(ADMIN_READ_DEADLINE, bounded.collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(No::BodyTooLarge),
        Ok(Err(_)) => Err(No::BodyMalformed("the body broke off".into())),
        Err(_) => Err(No::BodySlow),
    }
}

/// Reads an order. What is said about a fault names keys and places, and never repeats a value.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, No> {
    // A list would be read too, its items taken for the members in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(No::BodyMalformed("must be a JSON object".into()));
    }
    serde_json::from_slice(body).map_err(|error| No::BodyMalformed(error.to_string()))
}

fn order(body: &[u8], check: fn(&Order) -> Result<(), OrderError>) -> Result<Order, No> {
    let order: Order = parse(body)?;
    check(&order).map_err(No::Order)?;
    Ok(order)
}

/// An order that can neither be tried out nor put off.
fn meant(body: &[u8], check: fn(&Order) -> Result<(), OrderError>) -> Result<Order, No> {
    let order = order(body, check)?;
    if order.dry_run || order.at.is_some() { Err(No::Order(OrderError::NotForRestore)) } else { Ok(order) }
}

fn done<T: serde::Serialize>(answer: Result<T, ControlError>) -> Result<Reply, No> {
    answer.map(|answer| reply::json(&answer)).map_err(No::Control)
}

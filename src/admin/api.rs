//! One admin call, from request to answer: guard, look up, authorize, read, do.
//!
//! Always answers, and reports every call that it refuses to [`RecordControl`](super::RecordControl).

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request};
use http_body::Body;
use http_body_util::{BodyExt, Limited};

use super::body::AdminBody;
use super::control::{Actor, AdminControl, AdminPeer, ControlError};
use super::endpoint::{CallMatch, GatewayCall, Handler, OrderBody, VendorCall};
use super::guard::{self, AllowedHosts, CallProof, KnownCallers};
use super::live::LiveFeed;
use super::operators::OperatorDirectory;
use super::page::PageFile;
use super::problem::AdminError;
use super::query::AdminQuery;
use super::records::RefusedCall;
use super::reply::{self, AdminReply};
use super::sessions::SessionStore;
use crate::bounds::{ADMIN_BODY_BYTES_MAX, ADMIN_READ_DEADLINE};
use crate::config::OperatorRole;
use crate::http::{FramingError, RequestIds, SlotHolder};
use crate::model::{Clock, Moment, VendorId, debug_fields};
use crate::telemetry::Metrics;

/// The admin calls of one gateway.
pub struct AdminApi<C> {
    pub(super) control: Arc<C>,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
    pub(super) sessions: SessionStore,
    pub(super) live: Arc<LiveFeed>,
    /// Whether the dashboard is served.
    pub(super) has_page: bool,
    hosts: AllowedHosts,
    operators: ArcSwap<OperatorDirectory>,
}

debug_fields!([<C>] AdminApi<C>: hosts);

/// The body of a call.
pub trait RequestBody: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send {}

impl<B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send> RequestBody for B {}

/// What the audit trail records of a refused call, as far as it is known.
#[derive(Default)]
struct CallTrace {
    call: Option<String>,
    operator: Option<String>,
}

impl<C: AdminControl> AdminApi<C> {
    /// Calls that act through `control`. Until operators are set, only the Unix socket may make them.
    pub fn new(control: Arc<C>, metrics: Metrics, clock: Clock, hosts: AllowedHosts) -> Self {
        let (sessions, live, operators) = Default::default();
        Self { control, metrics, clock, sessions, live, has_page: true, hosts, operators }
    }

    /// The same calls, with the dashboard or without it.
    #[must_use]
    pub fn with_page(self, has_page: bool) -> Self {
        Self { has_page, ..self }
    }

    /// Changes who may make calls, from the next call on; streams of those who may not any more end.
    pub fn set_operators(&self, operators: OperatorDirectory) {
        self.operators.store(Arc::new(operators));
        self.live.end_all();
    }

    /// Answers one request. Dropping the future may leave an order half done: let it run to its end.
    pub async fn handle(&self, request: Request<impl RequestBody>, peer: AdminPeer) -> AdminReply {
        let (head, body) = request.into_parts();
        let mut trace = CallTrace::default();
        let answered = self.answer(&head, body, peer, &mut trace).await;
        let mut reply = answered.unwrap_or_else(|no| self.refuse(&no, peer, &trace));
        reply::add_security_headers(&mut reply);
        if head.method == Method::HEAD {
            *reply.body_mut() = AdminBody::default();
        }
        reply
    }

    /// The moment by the API's clock.
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

    async fn answer(
        &self,
        head: &Parts,
        body: impl RequestBody,
        peer: AdminPeer,
        trace: &mut CallTrace,
    ) -> Result<AdminReply, AdminError> {
        let found = Self::match_call(head.method.as_str(), head.uri.path());
        trace.call = match &found {
            CallMatch::Call(endpoint, _) => Some(endpoint.name()),
            CallMatch::OtherMethod(_) | CallMatch::Nothing => None,
        };
        if let Some(file) = self.page_file(head, peer) {
            return self.page(head, file);
        }
        guard::check_origin(head, &self.hosts)?;
        let (endpoint, vendor) = match found {
            CallMatch::Call(endpoint, vendor) => (endpoint, vendor),
            CallMatch::OtherMethod(allow) => return Err(AdminError::MethodWrong { allow }),
            CallMatch::Nothing => return Err(AdminError::CallUnknown),
        };
        let query = || AdminQuery::read(head.uri.query(), endpoint.spec.parameters);
        match endpoint.handler {
            Handler::Open(handle) => Ok(handle(self, head, &query()?)),
            Handler::OnVendor(role, handle) => {
                let (actor, _) = self.authorize(head, peer, role, trace)?;
                let vendor = VendorId::parse(vendor).map_err(|_| AdminError::Control(ControlError::VendorUnknown))?;
                query()?;
                let body = read_body(&endpoint.spec.order, head, body).await?;
                handle(self, VendorCall { actor: &actor, vendor: &vendor, body: &body }).await
            }
            Handler::OnGateway(role, handle) => {
                let (actor, proof) = self.authorize(head, peer, role, trace)?;
                let query = query()?;
                let body = read_body(&endpoint.spec.order, head, body).await?;
                handle(self, GatewayCall { actor: &actor, proof, head, query: &query, body: &body }).await
            }
        }
    }

    fn authorize(
        &self,
        head: &Parts,
        peer: AdminPeer,
        needs: OperatorRole,
        trace: &mut CallTrace,
    ) -> Result<(Actor, CallProof), AdminError> {
        let operators = self.operators.load();
        let now_ns = self.now().monotonic_ns;
        let known = KnownCallers { operators: &operators, sessions: &self.sessions, now_ns };
        match guard::authorize(&head.headers, peer, needs, known) {
            Ok((actor, proof)) => {
                // An operator's connection makes room for no stranger's.
                if let Some(seat) = head.extensions.get::<Arc<SlotHolder>>() {
                    seat.mark_proven();
                }
                trace.operator = Some(actor.name.clone());
                Ok((actor, proof))
            }
            Err((no, operator)) => {
                trace.operator = operator;
                Err(no)
            }
        }
    }

    /// The file of the dashboard that is asked for. On the Unix socket there is none: whoever may open it is an
    /// administrator without a token, and a browser behind a proxy must not become one.
    fn page_file(&self, head: &Parts, peer: AdminPeer) -> Option<&'static PageFile> {
        let is_read = head.method == Method::GET || head.method == Method::HEAD;
        let is_served = self.has_page && is_read && matches!(peer, AdminPeer::Network(_));
        if is_served { PageFile::find(head.uri.path()) } else { None }
    }

    fn page(&self, head: &Parts, file: &PageFile) -> Result<AdminReply, AdminError> {
        if file.is_document() && guard::is_navigation(&head.headers) {
            guard::check_host(head, &self.hosts)?;
        } else {
            guard::check_origin(head, &self.hosts)?;
        }
        Ok(file.reply())
    }

    fn refuse(&self, no: &AdminError, peer: AdminPeer, trace: &CallTrace) -> AdminReply {
        let request_id = RequestIds::next().to_string();
        self.control.refused(&RefusedCall {
            at: self.clock.now().wall,
            peer,
            operator: trace.operator.as_deref(),
            call: trace.call.as_deref(),
            reason: no.reason(),
            request_id: &request_id,
        });
        no.response(&request_id)
    }
}

/// The body of a call that has one, which must be JSON.
async fn read_body(order: &OrderBody, head: &Parts, body: impl RequestBody) -> Result<Bytes, AdminError> {
    match order {
        OrderBody::None => Ok(Bytes::new()),
        // `curl -X POST` sends no body and no type.
        OrderBody::JsonOrEmpty(_) if body.is_end_stream() => Ok(Bytes::from_static(b"{}")),
        OrderBody::Json(_) | OrderBody::JsonOrEmpty(_) if guard::is_json(&head.headers) => read(body).await,
        OrderBody::Json(_) | OrderBody::JsonOrEmpty(_) => Err(AdminError::ContentType),
    }
}

async fn read(body: impl RequestBody) -> Result<Bytes, AdminError> {
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

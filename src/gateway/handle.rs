//! The page to read first: the way of one request, from its head to the head of its response.
//!
//! Always responds: with the upstream's response, or with a refusal. What must be waited for before a decision is
//! waited for here; the decision itself is synchronous (`admission`).

use std::sync::Arc;

use ::http::{Method, Request, Response, Version, request};
use hyper::body::Incoming;

use super::admission::{admit, admit_webhook};
use super::body_source::BodySource;
use super::exchange::ExchangeRecord;
use super::forward::forward;
use super::peer::Peer;
use super::refusal::{self, Authority};
use super::snapshot::VendorRuntime;
use super::state::Gateway;
use super::webhook::{self, VerifiedWebhook};
use super::webhook_reply;
use crate::http::{GatewayBody, is_grpc};
use crate::identity::WebhookVerifier;
use crate::model::Direction;

impl Gateway {
    /// Responds to one request: with the upstream's response, or with a refusal.
    pub async fn handle(
        self: &Arc<Self>,
        worker: usize,
        peer: &Arc<Peer>,
        request: Request<Incoming>,
    ) -> Response<GatewayBody> {
        if request.method() == Method::CONNECT && peer.direction() == Direction::Egress {
            return Box::pin(self.connect(peer, request)).await;
        }
        let (head, body) = request.into_parts();
        let mut record = ExchangeRecord::begin(Arc::clone(self), Arc::clone(peer), head.method.clone(), head.version);
        record.set_grpc(head.version == Version::HTTP_2 && is_grpc(&head.headers));
        let snapshot = self.snapshot.load();
        let decided = match admit(&snapshot, &head, record) {
            // The token is seen for the first time, and its key or an answer about it is being fetched: one bounded
            // wait.
            Err(refused) if refused.can_wait() => admit(&snapshot, &head, Box::pin(refused.wait()).await),
            decided => decided,
        };
        let refused = match decided {
            Ok(admitted) => {
                drop(snapshot);
                return forward(worker, admitted, head, body.into()).await;
            }
            Err(refused) => refused,
        };
        let candidates = match refused.has_no_token() {
            true => webhook::candidates(&snapshot, &head, peer),
            false => Vec::new(),
        };
        drop(snapshot);
        if candidates.is_empty() {
            return refused.respond_to(&head);
        }
        Box::pin(self.handle_webhook(worker, candidates, head, body, refused.into_record())).await
    }

    /// Responds to a request that may be a webhook: its whole body is read and its signature checked before the
    /// decision.
    async fn handle_webhook(
        self: &Arc<Self>,
        worker: usize,
        candidates: Vec<(Arc<WebhookVerifier>, Arc<VendorRuntime>)>,
        head: request::Parts,
        body: Incoming,
        mut record: Box<ExchangeRecord>,
    ) -> Response<GatewayBody> {
        let since = self.clock.now();
        let verified = {
            let (sender, signed) = (record.peer.address().ip(), webhook::signed_parts(&head, &record.peer));
            webhook::verify(&candidates, &signed, body, sender, &self.spools, &self.clock).await
        };
        record.waited(since);
        let message = match verified {
            Ok(VerifiedWebhook::Message(message)) => message,
            Ok(VerifiedWebhook::Handshake(vendor, reply)) => {
                return webhook_reply::answer_handshake(&vendor, &head, reply, record);
            }
            Err(denial) => {
                if let [(_, only)] = &candidates[..] {
                    record.set_vendor(only, None);
                }
                return refusal::respond(&mut record, &denial, None, Authority::Intact);
            }
        };
        // Reading the body took time, so the config in force now decides.
        let admitted = admit_webhook(&self.snapshot.load(), &head, &message, record);
        match admitted {
            Ok(admitted) if message.delivery.is_known() => admitted.reply(webhook_reply::already_delivered()),
            Ok(admitted) => {
                let response = forward(worker, admitted, head, BodySource::spooled(message.body)).await;
                if response.status().is_success() {
                    message.delivery.delivered();
                }
                response
            }
            Err(refused) => refused.respond(),
        }
    }
}

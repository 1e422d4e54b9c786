//! Webhooks: callers that sign their bodies. The whole body is read and verified before anything is decided or
//! forwarded.
//!
//! A handshake, and a message that was delivered before, get a response from the gateway and are not forwarded. The
//! bodies in memory are bounded in size and number, since strangers can send them: at the bound of a sender, of a
//! vendor or of all, the body that has been on its way longest is refused, so that a slow sender cannot keep others
//! out. A message that could not be delivered is forgotten, so that the sender's next attempt is delivered.

use std::net::IpAddr;
use std::sync::Arc;

use ::http::{Method, request};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::peer::Peer;
use super::snapshot::{Snapshot, VendorRuntime};
use super::target::authority;
use crate::bounds::{
    OVERLOAD_RETRY, WEBHOOK_BODY_BYTES_MAX, WEBHOOK_BODY_DEADLINE, WEBHOOK_SPOOLS_PER_SENDER, WEBHOOK_SPOOLS_PER_VENDOR,
};
use crate::http::{PeerNetwork, SlotGroup, SlotPool, screen};
use crate::identity::{
    AcceptedWebhook, HandshakeReply, PendingWebhook, WebhookOutcome, WebhookRequest, WebhookVerifier,
};
use crate::kill::AdmissionProof;
use crate::model::{Caller, Clock, Denial, Direction, Reason};

/// A request whose signature, or handshake, was verified.
pub(super) enum VerifiedWebhook {
    Message(VerifiedMessage),
    /// A handshake of a vendor, and the reply that its sender expects.
    Handshake(Arc<VendorRuntime>, HandshakeReply),
}

/// A message whose signature was verified.
pub(super) struct VerifiedMessage {
    pub(super) body: Bytes,
    pub(super) delivery: InboundDelivery,
}

/// The delivery of a message. Dropping it before [`Self::delivered`] lets the message come again.
pub(super) struct InboundDelivery(Option<AcceptedWebhook>);

impl InboundDelivery {
    /// The caller that has signed the message.
    pub(super) fn caller(&self) -> Option<&Caller> {
        self.0.as_ref().map(|accepted| &accepted.caller)
    }

    /// The proof of the caller.
    pub(super) fn proof(&self) -> Option<AdmissionProof> {
        self.0.as_ref().map(|accepted| Arc::clone(&accepted.signed) as AdmissionProof)
    }

    /// Whether the message was delivered before.
    pub(super) fn is_known(&self) -> bool {
        self.0.as_ref().is_some_and(|accepted| accepted.was_delivered)
    }

    /// The message was delivered: when it comes again it is not forwarded.
    pub(super) fn delivered(mut self) {
        if let Some(accepted) = self.0.take() {
            accepted.mark_delivered();
        }
    }
}

impl Drop for InboundDelivery {
    fn drop(&mut self) {
        if let Some(accepted) = self.0.take() {
            accepted.give_back();
        }
    }
}

/// The parts of a request that its sender may have signed.
pub(super) fn signed_parts<'a>(head: &'a request::Parts, peer: &Peer) -> WebhookRequest<'a> {
    WebhookRequest {
        method: &head.method,
        scheme: peer.scheme(),
        authority: authority(head),
        target: head.uri.path_and_query().map_or("/", |target| target.as_str()),
        headers: &head.headers,
    }
}

/// The vendors that the request may be a webhook of: it has the header of their signature, or looks like their
/// handshake, and is on a route of theirs. A handshake may have another method than the messages that follow.
pub(super) fn candidates(
    snapshot: &Snapshot,
    head: &request::Parts,
    peer: &Peer,
) -> Vec<(Arc<WebhookVerifier>, Arc<VendorRuntime>)> {
    let webhooks = snapshot.directory.webhooks();
    if webhooks.is_empty() {
        return Vec::new();
    }
    let Ok(target) = screen(head, Direction::Ingress) else { return Vec::new() };
    let sent = signed_parts(head, peer);
    let placed = webhooks.iter().filter_map(|webhook| {
        let method = match webhook.is_presented(&head.headers) {
            true => &head.method,
            false if webhook.may_be_handshake(&sent) => &Method::POST,
            false => return None,
        };
        let vendor = snapshot.vendors.get(webhook.vendor_index() as usize)?;
        vendor.find(Direction::Ingress, method, &target.path)?;
        Some((Arc::clone(webhook), Arc::clone(vendor)))
    });
    placed.collect()
}

/// Reads the body and finds out which vendor has signed it.
pub(super) async fn verify(
    candidates: &[(Arc<WebhookVerifier>, Arc<VendorRuntime>)],
    sent: &WebhookRequest<'_>,
    body: Incoming,
    sender: IpAddr,
    spools: &Arc<SlotPool>,
    clock: &Clock,
) -> Result<VerifiedWebhook, Denial> {
    let mut why = None;
    let mut begin = |webhook: &Arc<WebhookVerifier>| {
        webhook.begin(sent.headers, clock.now()).map_err(|denial| why.get_or_insert(denial).clone()).ok()
    };
    let checks: Vec<PendingWebhook> = candidates.iter().filter_map(|(webhook, _)| begin(webhook)).collect();
    let greeters: Vec<_> = candidates.iter().filter(|(webhook, _)| webhook.may_be_handshake(sent)).collect();
    if checks.is_empty() && greeters.is_empty() {
        return Err(why.unwrap_or_else(|| Denial::new(Reason::TokenMissing, "no signature")));
    }
    let body = receive_body(candidates, body, sender, spools).await?;
    for check in checks {
        let index = check.vendor_index();
        match check.finish(sent, &body, clock.now()) {
            Ok(WebhookOutcome::Message(taken)) => {
                return Ok(VerifiedWebhook::Message(VerifiedMessage { body, delivery: InboundDelivery(Some(taken)) }));
            }
            Ok(WebhookOutcome::Greeting(greeting)) => {
                let whose = candidates.iter().find(|(webhook, _)| webhook.vendor_index() == index);
                let (_, vendor) =
                    whose.ok_or_else(|| Denial::new(Reason::VendorUnknown, "no contract at this place"))?;
                return Ok(VerifiedWebhook::Handshake(Arc::clone(vendor), greeting));
            }
            Err(denial) => why = why.or(Some(denial)),
        }
    }
    let greeted =
        greeters.into_iter().find_map(|(webhook, vendor)| Some((vendor, webhook.answer_handshake(sent, &body)?)));
    if let Some((vendor, greeting)) = greeted {
        return Ok(VerifiedWebhook::Handshake(Arc::clone(vendor), greeting));
    }
    Err(why.unwrap_or_else(|| Denial::new(Reason::TokenMissing, "no signature, and no handshake of this vendor")))
}

/// Reads the whole body, in a slot of the memory for such bodies.
async fn receive_body(
    candidates: &[(Arc<WebhookVerifier>, Arc<VendorRuntime>)],
    body: Incoming,
    sender: IpAddr,
    spools: &Arc<SlotPool>,
) -> Result<Bytes, Denial> {
    let mut groups = vec![(SlotGroup::Sender(PeerNetwork::of(sender)), WEBHOOK_SPOOLS_PER_SENDER)];
    let vendor = |webhook: &WebhookVerifier| (SlotGroup::Vendor(webhook.vendor_index()), WEBHOOK_SPOOLS_PER_VENDOR);
    groups.extend(candidates.iter().map(|(webhook, _)| vendor(webhook)));
    let slot = spools.acquire(&groups).await;
    tokio::select! {
        spooled = tokio::time::timeout(WEBHOOK_BODY_DEADLINE, spool(body)) => {
            spooled.unwrap_or_else(|_| Err(Denial::new(Reason::BodyTimeout, "the body came too slowly")))
        }
        () = slot.holder().shed_requested() => {
            let made_room = Denial::new(Reason::Overloaded, "too many signed bodies at once, and this one was the oldest");
            Err(made_room.retry_after(OVERLOAD_RETRY))
        }
    }
}

async fn spool(mut body: Incoming) -> Result<Bytes, Denial> {
    let mut spooled = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Denial::new(Reason::BodyMalformed, "the request's body broke off"))?;
        // Trailers are not signed, so they are not forwarded.
        let Ok(data) = frame.into_data() else { continue };
        if spooled.len() + data.len() > WEBHOOK_BODY_BYTES_MAX {
            return Err(Denial::new(Reason::BodyTooLarge, "a signed body is larger than the bound"));
        }
        spooled.extend_from_slice(&data);
    }
    Ok(spooled.freeze())
}

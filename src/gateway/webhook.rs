//! Callers that sign their bodies: the whole body is taken and verified before anything is decided or forwarded.
//!
//! Spools are bounded in size and number, since strangers can ask for them: where the bound of a sender, of a vendor or of
//! all is reached, the oldest body that is still on its way makes room, so that those who hold on keep nobody out. A
//! message that was not delivered is given back, so that the sender's next try is not a replay.

use std::net::IpAddr;
use std::sync::Arc;

use ::http::request;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::snapshot::{Snapshot, Vendor};
use crate::bounds::{
    OVERLOAD_RETRY, WEBHOOK_BODY_BYTES_MAX, WEBHOOK_BODY_DEADLINE, WEBHOOK_SPOOLS_PER_SENDER, WEBHOOK_SPOOLS_PER_VENDOR,
};
use crate::http::{Group, Network, Slots, screen};
use crate::identity::{Check, Taken, Webhook};
use crate::kill::Footing;
use crate::model::{Caller, Clock, Denial, Direction, Reason};

/// A message that was verified, and its body.
pub(super) struct Message {
    pub(super) body: Bytes,
    pub(super) delivery: Delivery,
}

/// A message on its way: unless it was delivered it may come again.
pub(super) struct Delivery(Option<Taken>);

impl Delivery {
    /// Who sent it.
    pub(super) fn caller(&self) -> Option<&Caller> {
        self.0.as_ref().map(|taken| &taken.caller)
    }

    /// What proves that.
    pub(super) fn footing(&self) -> Option<Footing> {
        self.0.as_ref().map(|taken| Arc::clone(&taken.signed) as Footing)
    }

    /// It has arrived, and may not come again.
    pub(super) fn delivered(mut self) {
        self.0 = None;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(taken) = self.0.take() {
            taken.give_back();
        }
    }
}

/// The vendors that a request may be a webhook of: it carries their signature, on a route of theirs.
pub(super) fn candidates(snapshot: &Snapshot, head: &request::Parts) -> Vec<(Arc<Webhook>, Arc<Vendor>)> {
    let webhooks = snapshot.directory.webhooks();
    if webhooks.is_empty() {
        return Vec::new();
    }
    let Ok(target) = screen(head, Direction::Ingress) else { return Vec::new() };
    let presented = webhooks.iter().filter(|webhook| webhook.is_presented(&head.headers));
    let placed = presented.filter_map(|webhook| {
        let vendor = snapshot.vendors.get(webhook.vendor_index() as usize)?;
        vendor.find(Direction::Ingress, &head.method, &target.path)?;
        Some((Arc::clone(webhook), Arc::clone(vendor)))
    });
    placed.collect()
}

/// Takes the body and finds out whose it is.
pub(super) async fn verify(
    candidates: &[(Arc<Webhook>, Arc<Vendor>)],
    head: &request::Parts,
    body: Incoming,
    sender: IpAddr,
    spools: &Arc<Slots>,
    clock: &Clock,
) -> Result<Message, Denial> {
    let mut why = None;
    let mut begin = |webhook: &Arc<Webhook>| {
        webhook.begin(&head.headers, clock.now()).map_err(|denial| why.get_or_insert(denial).clone()).ok()
    };
    let mut checks: Vec<Check> = candidates.iter().filter_map(|(webhook, _)| begin(webhook)).collect();
    if checks.is_empty() {
        return Err(why.unwrap_or_else(|| Denial::new(Reason::TokenMissing, "no signature")));
    }
    let mut groups = vec![(Group::Sender(Network::of(sender)), WEBHOOK_SPOOLS_PER_SENDER)];
    let vendor = |webhook: &Webhook| (Group::Vendor(webhook.vendor_index()), WEBHOOK_SPOOLS_PER_VENDOR);
    groups.extend(candidates.iter().map(|(webhook, _)| vendor(webhook)));
    let slot = spools.enter(&groups).await;
    let body = tokio::select! {
        spooled = tokio::time::timeout(WEBHOOK_BODY_DEADLINE, spool(body, &mut checks)) => {
            spooled.unwrap_or_else(|_| Err(Denial::new(Reason::BodyTimeout, "the body came too slowly")))?
        }
        () = slot.seat().shed() => {
            let made_room = Denial::new(Reason::Overloaded, "too many signed bodies at once, and this one was the oldest");
            return Err(made_room.retry_after(OVERLOAD_RETRY));
        }
    };
    drop(slot);
    for check in checks {
        match check.finish(clock.now()) {
            Ok(taken) => return Ok(Message { body, delivery: Delivery(Some(taken)) }),
            Err(denial) => why = why.or(Some(denial)),
        }
    }
    Err(why.unwrap_or_else(|| Denial::new(Reason::TokenInvalid, "no signature holds")))
}

/// The whole body, each piece shown to the checks as it comes.
async fn spool(mut body: Incoming, checks: &mut [Check]) -> Result<Bytes, Denial> {
    let mut spooled = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Denial::new(Reason::BodyMalformed, "the request's body broke off"))?;
        // Trailers are not signed, and go no further.
        let Ok(data) = frame.into_data() else { continue };
        if spooled.len() + data.len() > WEBHOOK_BODY_BYTES_MAX {
            return Err(Denial::new(Reason::BodyTooLarge, "a signed body is larger than the bound"));
        }
        checks.iter_mut().for_each(|check| check.update(&data));
        spooled.extend_from_slice(&data);
    }
    Ok(spooled.freeze())
}

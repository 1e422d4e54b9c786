//! A request that was not admitted: it waits for what is being fetched and is decided on again, or it is refused.

use ::http::{Response, request};

use crate::bounds;
use crate::gateway::denied::AdmissionDenied;
use crate::gateway::exchange::ExchangeRecord;
use crate::gateway::fallback::for_killed;
use crate::gateway::refusal;
use crate::http::GatewayBody;
use crate::model::{Direction, Reason};

/// A request that was not admitted, with its record.
#[derive(Debug)]
pub(in crate::gateway) struct Refused {
    pub(super) record: Box<ExchangeRecord>,
    pub(super) denied: Box<AdmissionDenied>,
}

impl Refused {
    /// Whether keys or an answer about the token are being fetched, after which the decision can be another.
    pub(in crate::gateway) const fn can_wait(&self) -> bool {
        self.denied.wait.is_some()
    }

    /// Waits for what is being fetched, within [`bounds::IDENTITY_WAIT`]; the request is then to be decided on again.
    pub(in crate::gateway) async fn wait(self) -> Box<ExchangeRecord> {
        let mut record = self.record;
        if let Some(wait) = self.denied.wait {
            let since = record.gateway.clock.now();
            wait.settled(bounds::IDENTITY_WAIT).await;
            record.waited(since);
        }
        record
    }

    /// Whether a vendor presented no token, so that it may still be known by the signature of its body.
    pub(in crate::gateway) fn has_no_token(&self) -> bool {
        self.denied.denial.reason == Reason::TokenMissing && self.record.direction() == Direction::Ingress
    }

    /// The record, for a request that is decided on in another way.
    pub(in crate::gateway) fn into_record(self) -> Box<ExchangeRecord> {
        self.record
    }

    /// What the caller gets for the request with this head: the fallback of its route where the vendor is killed and
    /// there is one, else the refusal.
    pub(in crate::gateway) fn respond_to(mut self, head: &request::Parts) -> Response<GatewayBody> {
        let AdmissionDenied { denial, authority, .. } = &*self.denied;
        let Some(response) = for_killed(&self.record, denial, head) else { return self.respond() };
        refusal::deny(&mut self.record, denial, *authority);
        self.record.set_status(response.status().as_u16());
        response
    }

    /// The refusal that the caller gets.
    pub(in crate::gateway) fn respond(mut self) -> Response<GatewayBody> {
        let AdmissionDenied { denial, rates, authority, .. } = *self.denied;
        refusal::respond(&mut self.record, &denial, rates.as_deref(), authority)
    }
}

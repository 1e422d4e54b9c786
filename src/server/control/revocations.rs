//! Revocations of tokens, clients and keys: the order, the severing of what it covers, and the lift.
//!
//! In the order of a kill: refuse what is new, sever what is in flight, write, and answer with the count and the time.

use std::time::Duration;

use serde_json::json;

use super::GatewayControl;
use crate::admin::{
    ActiveRevocation, Actor, ControlError, ControlResult, LiftReport, Revocable, RevocationControl, RevocationList,
    RevokeReport, RevokedItem,
};
use crate::audit::{AuditAct, AuditRecord};
use crate::bounds::{FLEET_CONFIRM_WAIT, PERSIST_DEADLINE};
use crate::config::Contract;
use crate::fleet::{lift_revocation, share_revocation};
use crate::gateway::VendorRuntime;
use crate::identity::{self, CredentialName, IdentitySettings, KeySource, RevocationTarget, TokenSettings, keep_until};
use crate::kill::{Fleet, GATEWAY_ACTOR, SeveredRequests};
use crate::model::{ClientId, VendorId};

impl RevocationControl for GatewayControl {
    async fn revoke(
        &self,
        actor: &Actor,
        vendor: &VendorId,
        what: &Revocable,
        reason: &str,
    ) -> ControlResult<RevokeReport> {
        let arrived = self.now();
        let known = self.known_ever(vendor)?;
        if let Some(known) = &known {
            can_act(&known.contract, what)?;
        }
        let seen = self.has_been_seen(vendor, what);
        let revoked = self.named(vendor, what);
        let settings = known.as_deref().and_then(settings);
        let until =
            settings.and_then(|settings| keep_until(&revoked, &settings.rotation, settings.clock_skew, arrived.wall));
        let revocation = identity::Revocation {
            vendor: vendor.clone(),
            target: revoked,
            ordered_at: arrived.wall,
            keep_until: until,
            reason: reason.to_owned(),
        };
        // Do not await from here to the severing: another task could sever first what this order must count.
        let revocations = self.services.authority.revocations();
        let revocation = revocations.put_in_force(revocation);
        let shared = self.fleet.as_ref().map(|fleet| share_revocation(&fleet.member, &revocation, &actor.name));
        let severed = self.sever_lost(&actor.name, "revocation");
        let count = severed.count();
        let saved = tokio::task::spawn_blocking(revocations.saving(revocation));
        let lingering = severed.wait().await;
        let sever_micros = self.now().monotonic_ns.saturating_sub(arrived.monotonic_ns) / 1000;
        let saved = tokio::time::timeout(PERSIST_DEADLINE, saved).await;
        let persisted = matches!(saved, Ok(Ok(Ok(())))) && self.store.is_durable();
        let detail = json!({
            "revoked": RevokedItem::from(what), "seen": seen, "severed": count, "lingering": lingering, "persisted": persisted,
        });
        self.act(actor, AuditAct::Revoke, vendor.as_str(), reason, detail).await;
        self.gateway.metrics.severed_within(Duration::from_micros(sever_micros));
        let fleet = match shared {
            Some(key) => self.fleet_answer(&key, FLEET_CONFIRM_WAIT).await,
            None => Fleet::ALONE,
        };
        Ok(RevokeReport {
            vendor: vendor.to_string(),
            revoked: what.into(),
            seen,
            severed: count,
            sever_micros,
            lingering,
            persisted,
            fleet,
        })
    }

    async fn lift(
        &self,
        actor: &Actor,
        vendor: &VendorId,
        what: &Revocable,
        reason: &str,
    ) -> ControlResult<LiftReport> {
        self.known_ever(vendor)?;
        let revoked = self.named(vendor, what);
        let lifted = tokio::task::spawn_blocking(self.services.authority.revocations().lifting(vendor, &revoked)).await;
        match lifted {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Err(ControlError::NotRevoked),
            Ok(Err(_)) | Err(_) => return Err(ControlError::State),
        }
        self.services.authority.revocations().lifted(vendor, &revoked);
        let persisted = self.store.is_durable();
        let shared = match &self.fleet {
            Some(fleet) => lift_revocation(&fleet.member, vendor, &revoked, &actor.name, self.now().wall),
            None => Vec::new(),
        };
        let fleet = match shared.last() {
            Some(key) => self.fleet_answer(key, FLEET_CONFIRM_WAIT).await,
            None => Fleet::ALONE,
        };
        self.act(actor, AuditAct::Lift, vendor.as_str(), reason, json!({ "lifted": RevokedItem::from(what) })).await;
        Ok(LiftReport { vendor: vendor.to_string(), lifted: what.into(), persisted, fleet })
    }

    fn revocations(&self) -> RevocationList {
        let all = self.services.authority.revocations().list();
        RevocationList { revocations: all.iter().map(told).collect() }
    }
}

impl GatewayControl {
    /// Severs requests whose proof no longer holds, and audits it: by whom or what, and each reason with its count.
    pub(in crate::server) fn sever_lost(&self, by: &str, because: &str) -> SeveredRequests {
        let now = self.clocks.steady(self.now());
        let severed = self.gateway.sever_unauthorized(now);
        for (vendor, reason, count) in severed.by_reason() {
            tracing::warn!(%vendor, reason = reason.as_str(), severed = count, because, "what ran has lost its ground");
            let detail = json!({ "severed": count, "because": because });
            let entry = AuditRecord::new(now.wall, by, AuditAct::Cut, vendor.as_str(), reason.as_str(), detail);
            // Do not await: the record's write must not delay the severing.
            drop(self.gateway.audit.record(entry));
        }
        severed
    }

    /// As [`Self::sever_lost`], where time or an issuer ended the right of requests, and no person.
    pub(in crate::server) fn sever_what_ended(&self) {
        drop(self.sever_lost(GATEWAY_ACTOR, "time or issuer"));
    }

    /// Whether what a revocation names has been seen with this vendor.
    fn has_been_seen(&self, vendor: &VendorId, what: &Revocable) -> bool {
        let name = match what {
            Revocable::Token(id) => CredentialName::Token(id),
            Revocable::Client(client) => CredentialName::Client(client),
            Revocable::Key(key) => CredentialName::Key(key),
            Revocable::IssuedBefore(_) => return true,
        };
        self.has_seen(vendor, name)
    }

    /// The vendor, where a contract names it; `None` where an earlier contract did and its gate or a revocation is
    /// left.
    fn known_ever(&self, vendor: &VendorId) -> Result<Option<std::sync::Arc<VendorRuntime>>, ControlError> {
        match self.known(vendor) {
            Ok(known) => Ok(Some(known)),
            Err(unknown) => {
                let has_line = self.gateway.switch.gates().iter().any(|line| line.vendor() == vendor);
                let revocations = self.services.authority.revocations().list();
                let left = has_line || revocations.iter().any(|revocation| revocation.vendor == *vendor);
                if left { Ok(None) } else { Err(unknown) }
            }
        }
    }

    fn named(&self, vendor: &VendorId, what: &Revocable) -> RevocationTarget {
        match what {
            Revocable::Token(id) => RevocationTarget::Token(id.as_str().into()),
            Revocable::Client(client) => RevocationTarget::Client(ClientId::new(client)),
            Revocable::IssuedBefore(time) => RevocationTarget::IssuedBefore(*time),
            Revocable::Key(key) => {
                RevocationTarget::Key(self.gateway.snapshot.load().directory().distrusted(vendor, key))
            }
        }
    }
}

fn settings(vendor: &VendorRuntime) -> Option<&TokenSettings> {
    match &vendor.contract.identity {
        Some(IdentitySettings::Token(settings)) => Some(settings),
        Some(IdentitySettings::Certificate(_) | IdentitySettings::Webhook(_)) | None => None,
    }
}

/// Refuses an order that would do nothing, given how this vendor proves itself.
fn can_act(contract: &Contract, what: &Revocable) -> Result<(), ControlError> {
    let by_client = matches!(what, Revocable::Client(_));
    match &contract.identity {
        Some(IdentitySettings::Token(settings)) => match (&settings.keys, what) {
            (KeySource::Introspection(_), Revocable::Key(_)) => Err(ControlError::CannotAct(
                "this vendor's tokens are opaque: no key signs them; revoke its client, or one token by its jti",
            )),
            _ => Ok(()),
        },
        Some(IdentitySettings::Certificate(_)) if !by_client => Err(ControlError::CannotAct(
            "this vendor is known by its certificate alone: it has no tokens; revoke its client, which is the \
             certificate's name, or kill the vendor",
        )),
        Some(IdentitySettings::Webhook(_)) if !by_client => Err(ControlError::CannotAct(
            "this vendor signs its bodies with a secret: it has no tokens; revoke its client, 'webhook', or kill the \
             vendor",
        )),
        Some(IdentitySettings::Certificate(_) | IdentitySettings::Webhook(_)) => Ok(()),
        None => Err(ControlError::CannotAct(
            "this vendor never calls us, so there is nothing to revoke; kill it to end our calls to it",
        )),
    }
}

fn told(revocation: &identity::Revocation) -> ActiveRevocation {
    let what = match &revocation.target {
        RevocationTarget::Token(id) => Revocable::Token(id.as_ref().to_owned()),
        RevocationTarget::Client(client) => Revocable::Client(client.as_str().to_owned()),
        RevocationTarget::Key(key) => Revocable::Key(key.name.as_ref().to_owned()),
        RevocationTarget::IssuedBefore(time) => Revocable::IssuedBefore(*time),
    };
    ActiveRevocation {
        vendor: revocation.vendor.to_string(),
        revoked: (&what).into(),
        at: revocation.ordered_at,
        until: revocation.keep_until,
        reason: revocation.reason.clone(),
    }
}

//! Tokens, clients and keys that are taken back: the order, what it severs, and the way back.
//!
//! In the order of a kill: refuse what is new, sever what runs, keep it, answer with how many and how long it took.

use std::time::Duration;

use serde_json::json;

use super::control::Helm;
use crate::admin::{
    Actor, ControlError, Fleet, LiftReport, Revocation, RevocationList, RevokeReport, StandingRevocation, Taken,
};
use crate::bounds::PERSIST_DEADLINE;
use crate::config::Contract;
use crate::gateway::Vendor;
use crate::identity::{self, Identity, KeySource, Name, Revoked, Settings, keep_until};
use crate::kill::{GATEWAY, Severed};
use crate::model::{ClientId, VendorId};
use crate::telemetry::audit::{Act, Entry};

const ALONE: Fleet = Fleet { acked: 1, of: 1 };

impl Helm {
    pub(super) async fn take_back(
        &self,
        actor: &Actor,
        vendor: &VendorId,
        what: &Revocation,
        reason: &str,
    ) -> Result<RevokeReport, ControlError> {
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
            what: revoked,
            at: arrived.wall,
            until,
            reason: reason.to_owned(),
        };
        // No await from here to the severing: nobody else severs first what this order is to answer for.
        let revocations = self.rooms.authority.revocations();
        let revocation = revocations.put_in_force(revocation);
        let severed = self.sever_lost(&actor.name, "revocation");
        let count = severed.count();
        let saved = tokio::task::spawn_blocking(revocations.saving(revocation));
        let lingering = severed.left().await;
        let sever_micros = self.now().monotonic_ns.saturating_sub(arrived.monotonic_ns) / 1000;
        let saved = tokio::time::timeout(PERSIST_DEADLINE, saved).await;
        let persisted = matches!(saved, Ok(Ok(Ok(())))) && self.store.is_durable();
        let detail = json!({
            "revoked": Taken::from(what), "seen": seen, "severed": count, "lingering": lingering, "persisted": persisted,
        });
        self.act(actor, Act::Revoke, vendor.as_str(), reason, detail).await;
        self.gateway.metrics.severed_within(Duration::from_micros(sever_micros));
        Ok(RevokeReport {
            vendor: vendor.to_string(),
            revoked: what.into(),
            seen,
            severed: count,
            sever_micros,
            lingering,
            persisted,
            fleet: ALONE,
        })
    }

    pub(super) async fn give_back(
        &self,
        actor: &Actor,
        vendor: &VendorId,
        what: &Revocation,
        reason: &str,
    ) -> Result<LiftReport, ControlError> {
        self.known_ever(vendor)?;
        let revoked = self.named(vendor, what);
        let lifted = tokio::task::spawn_blocking(self.rooms.authority.revocations().lifting(vendor, &revoked)).await;
        match lifted {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Err(ControlError::NotRevoked),
            Ok(Err(_)) | Err(_) => return Err(ControlError::State),
        }
        self.rooms.authority.revocations().lifted(vendor, &revoked);
        let persisted = self.store.is_durable();
        self.act(actor, Act::Lift, vendor.as_str(), reason, json!({ "lifted": Taken::from(what) })).await;
        Ok(LiftReport { vendor: vendor.to_string(), lifted: what.into(), persisted, fleet: ALONE })
    }

    pub(super) fn taken_back(&self) -> RevocationList {
        let all = self.rooms.authority.revocations().list();
        RevocationList { revocations: all.iter().map(told).collect() }
    }

    /// Severs what has lost what it stood on, and audits it: who or what made that so, and each reason with its count.
    pub(super) fn sever_lost(&self, by: &str, because: &str) -> Severed {
        let now = self.times.steady(self.now());
        let severed = self.gateway.sever_lost(now);
        for (vendor, reason, count) in severed.by_reason() {
            tracing::warn!(%vendor, reason = reason.as_str(), severed = count, because, "what ran has lost its ground");
            let entry = Entry {
                at: now.wall,
                actor: by.to_owned(),
                act: Act::Cut,
                subject: vendor.as_str().to_owned(),
                reason: reason.as_str().to_owned(),
                detail: json!({ "severed": count, "because": because }),
            };
            // What was severed waits for no disk.
            drop(self.gateway.audit.record(entry));
        }
        severed
    }

    /// As [`Self::sever_lost`], by the gateway's own hand.
    pub(super) fn sever_what_ended(&self) {
        drop(self.sever_lost(GATEWAY, "time or issuer"));
    }

    /// Whether what a revocation names has been seen with this vendor.
    fn has_been_seen(&self, vendor: &VendorId, what: &Revocation) -> bool {
        let name = match what {
            Revocation::Token(id) => Name::Token(id),
            Revocation::Client(client) => Name::Client(client),
            Revocation::Key(key) => Name::Key(key),
            Revocation::IssuedBefore(_) => return true,
        };
        self.has_seen(vendor, name)
    }

    /// The vendor, where a contract names it; none where one did before, and something of it is left.
    fn known_ever(&self, vendor: &VendorId) -> Result<Option<std::sync::Arc<Vendor>>, ControlError> {
        match self.known(vendor) {
            Ok(known) => Ok(Some(known)),
            Err(unknown) => {
                let has_line = self.gateway.switch.lines().iter().any(|line| line.vendor() == vendor);
                let revocations = self.rooms.authority.revocations().list();
                let left = has_line || revocations.iter().any(|revocation| revocation.vendor == *vendor);
                if left { Ok(None) } else { Err(unknown) }
            }
        }
    }

    fn named(&self, vendor: &VendorId, what: &Revocation) -> Revoked {
        match what {
            Revocation::Token(id) => Revoked::Token(id.as_str().into()),
            Revocation::Client(client) => Revoked::Client(ClientId::new(client)),
            Revocation::IssuedBefore(time) => Revoked::IssuedBefore(*time),
            Revocation::Key(key) => Revoked::Key(self.gateway.snapshot.load().directory().distrusted(vendor, key)),
        }
    }
}

fn settings(vendor: &Vendor) -> Option<&Settings> {
    match &vendor.contract.identity {
        Some(Identity::Token(settings)) => Some(settings),
        Some(Identity::Certificate(_) | Identity::Webhook(_)) | None => None,
    }
}

/// Refuses an order that this vendor's way of proving itself gives no hold on.
fn can_act(contract: &Contract, what: &Revocation) -> Result<(), ControlError> {
    let by_client = matches!(what, Revocation::Client(_));
    match &contract.identity {
        Some(Identity::Token(settings)) => match (&settings.keys, what) {
            (KeySource::Introspection(_), Revocation::Key(_)) => Err(ControlError::CannotAct(
                "this vendor's tokens are opaque: no key signs them; revoke its client, or one token by its jti",
            )),
            _ => Ok(()),
        },
        Some(Identity::Certificate(_)) if !by_client => Err(ControlError::CannotAct(
            "this vendor is known by its certificate alone: it has no tokens; revoke its client, which is the \
             certificate's name, or kill the vendor",
        )),
        Some(Identity::Webhook(_)) if !by_client => Err(ControlError::CannotAct(
            "this vendor signs its bodies with a secret: it has no tokens; revoke its client, 'webhook', or kill the \
             vendor",
        )),
        Some(Identity::Certificate(_) | Identity::Webhook(_)) => Ok(()),
        None => Err(ControlError::CannotAct(
            "this vendor never calls us, so there is nothing to revoke; kill it to end our calls to it",
        )),
    }
}

fn told(revocation: &identity::Revocation) -> StandingRevocation {
    let what = match &revocation.what {
        Revoked::Token(id) => Revocation::Token(id.as_ref().to_owned()),
        Revoked::Client(client) => Revocation::Client(client.as_str().to_owned()),
        Revoked::Key(key) => Revocation::Key(key.name.as_ref().to_owned()),
        Revoked::IssuedBefore(time) => Revocation::IssuedBefore(*time),
    };
    StandingRevocation {
        vendor: revocation.vendor.to_string(),
        revoked: (&what).into(),
        at: revocation.at.into(),
        until: revocation.until.map(Into::into),
        reason: revocation.reason.clone(),
    }
}

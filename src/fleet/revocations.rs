//! Revocations as shared entries: each order has its own, which is a tombstone with a lifetime once it was lifted.
//!
//! A revocation is in force while one order stands that names the same, so a lift takes back the orders that were known
//! where it was given.

use serde::{Deserialize, Serialize};

use super::{FleetMember, SharedEntry};
use crate::bounds::FLEET_LIFTED_KEPT;
use crate::identity::{DistrustedKey, Revocation, RevocationTarget};
use crate::model::{ClientId, UnixTime, VendorId, hex};

const KIND: &str = "revocation";

/// A revocation of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedRevocation {
    /// What is revoked, and until when.
    pub revocation: Revocation,
    /// Whether it was lifted.
    pub is_lifted: bool,
    /// The operator who ordered it.
    pub by: String,
    /// The gateway that the order was given to.
    pub gateway: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct RevocationData {
    v: u32,
    vendor: String,
    what: RevokedData,
    at: UnixTime,
    #[serde(default)]
    until: Option<UnixTime>,
    by: String,
    reason: String,
    gateway: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RevokedData {
    Token(String),
    Client(String),
    IssuedBefore(UnixTime),
    Key { name: String, thumbprints: Vec<[u8; 32]> },
}

/// Tells the fleet of a revocation; returns the key by which others confirm it.
pub fn share_revocation(member: &FleetMember, revocation: &Revocation, by: &str) -> String {
    let what = match &revocation.target {
        RevocationTarget::Token(id) => RevokedData::Token(id.to_string()),
        RevocationTarget::Client(client) => RevokedData::Client(client.as_str().to_owned()),
        RevocationTarget::IssuedBefore(time) => RevokedData::IssuedBefore(*time),
        RevocationTarget::Key(key) => {
            RevokedData::Key { name: key.name.to_string(), thumbprints: key.thumbprints.clone() }
        }
    };
    let data = RevocationData {
        v: 1,
        vendor: revocation.vendor.to_string(),
        what,
        at: revocation.ordered_at,
        until: revocation.keep_until,
        by: by.to_owned(),
        reason: revocation.reason.clone(),
        gateway: member.settings().node.clone(),
    };
    let text = serde_json::to_string(&data).unwrap_or_default();
    // The same order again is the same entry; another one, even of the same thing, is another.
    let id = hex(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
    let key = format!("{KIND}/{id}");
    let expires = revocation.keep_until.unwrap_or_default();
    member.shared().put(SharedEntry { key: key.clone(), epoch: 1, rank: 1, expires, data: text });
    key
}

/// Tells the fleet that every known order of this revocation is lifted; returns the keys.
pub fn lift_revocation(
    member: &FleetMember,
    vendor: &VendorId,
    target: &RevocationTarget,
    by: &str,
    now: UnixTime,
) -> Vec<String> {
    let known = member.shared().of_kind(KIND).into_iter();
    let known =
        known.filter(|entry| SharedRevocation::read(entry).is_some_and(|shared| shared.stands_against(vendor, target)));
    let lift = |entry: SharedEntry| {
        let data = serde_json::from_str::<RevocationData>(&entry.data).map(|data| RevocationData {
            by: by.to_owned(),
            gateway: member.settings().node.clone(),
            ..data
        });
        let data = data.ok().and_then(|data| serde_json::to_string(&data).ok()).unwrap_or(entry.data);
        let lifted =
            SharedEntry { key: entry.key.clone(), epoch: 2, rank: 0, expires: now.plus(FLEET_LIFTED_KEPT), data };
        member.shared().put(lifted);
        entry.key
    };
    known.map(lift).collect()
}

impl SharedRevocation {
    /// What an entry says; none where it cannot be read.
    pub fn read(entry: &SharedEntry) -> Option<Self> {
        let data: RevocationData = serde_json::from_str(&entry.data).ok()?;
        let target = match data.what {
            RevokedData::Token(id) => RevocationTarget::Token(id.into()),
            RevokedData::Client(client) => RevocationTarget::Client(ClientId::new(&client)),
            RevokedData::IssuedBefore(time) => RevocationTarget::IssuedBefore(time),
            RevokedData::Key { name, thumbprints } => {
                RevocationTarget::Key(DistrustedKey { name: name.into(), thumbprints })
            }
        };
        let vendor = VendorId::parse(&data.vendor).ok()?;
        let (ordered_at, keep_until, reason) = (data.at, data.until, data.reason);
        let revocation = Revocation { vendor, target, ordered_at, keep_until, reason };
        Some(Self { revocation, is_lifted: entry.epoch >= 2, by: data.by, gateway: data.gateway })
    }

    /// Whether another order that stands revokes the same.
    pub fn stands_elsewhere(&self, member: &FleetMember) -> bool {
        let Revocation { vendor, target, .. } = &self.revocation;
        let others = member.shared().of_kind(KIND);
        others.iter().filter_map(Self::read).any(|other| other.stands_against(vendor, target))
    }

    /// Whether it stands, and revokes this of this vendor.
    fn stands_against(&self, vendor: &VendorId, target: &RevocationTarget) -> bool {
        !self.is_lifted && self.revocation.is_of(vendor, target)
    }
}

//! What the entries of kills say, in JSON. A member that is not known is left out when it is read.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kill::{DrillRecord, KillOrigin, KillSelector, KillTarget, RestoreApproval, ScheduledKillRow};
use crate::model::UnixTime;

/// The version of all of these.
pub(super) const VERSION: u32 = 1;

/// An order to kill.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KillData {
    pub(super) v: u32,
    pub(super) target: String,
    #[serde(rename = "reach", default)]
    pub(super) selector: KillSelector,
    pub(super) by: String,
    pub(super) reason: String,
    pub(super) at: UnixTime,
    pub(super) origin: KillOrigin,
    /// The gateway that the order was given to.
    pub(super) gateway: Arc<str>,
}

/// The end of such an order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LiftData {
    pub(super) v: u32,
    pub(super) target: String,
    pub(super) by: String,
    pub(super) reason: String,
    pub(super) at: UnixTime,
    pub(super) gateway: Arc<str>,
}

/// One person's yes to a restore that needs more.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ApprovalData {
    pub(super) v: u32,
    pub(super) target: String,
    pub(super) approval: RestoreApproval,
    /// The orders that the kills stood by.
    pub(super) orders: Vec<Arc<str>>,
}

/// A kill to come; none once it was carried out or taken back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ScheduleData {
    pub(super) v: u32,
    pub(super) row: Option<ScheduledKillRow>,
}

/// A drill that was done.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DrillData {
    pub(super) v: u32,
    pub(super) record: DrillRecord,
}

impl KillData {
    /// Reads an order. One of a newer form, such as a part of a vendor that is not known here, is about the vendor
    /// whole: rather too much is refused than too little.
    pub(super) fn read(text: &str) -> Option<Self> {
        if let Ok(data) = serde_json::from_str(text) {
            return Some(data);
        }
        let value: Value = serde_json::from_str(text).ok()?;
        let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let target = KillTarget::parse(value["target"].as_str()?).ok()?;
        tracing::error!(
            target = target.as_str(),
            "an order of the fleet is of a newer form: the vendor is cut off whole"
        );
        Some(Self {
            v: VERSION,
            target: target.as_str().to_owned(),
            selector: KillSelector::default(),
            by: word("by"),
            reason: word("reason"),
            at: UnixTime::default(),
            origin: KillOrigin::Operator,
            gateway: word("gateway").into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_of_a_newer_form_is_about_the_vendor_whole() {
        let newer = r#"{"v":2,"target":"acme","reach":{"region":"eu"},"by":"ann","reason":"x","at":"2027-01-15T08:00:00Z","origin":"oracle","gateway":"a"}"#;
        let data = KillData::read(newer).unwrap();
        assert!(data.selector.is_whole() && data.target == "acme" && data.by == "ann");
        let known = newer.replace(r#"{"region":"eu"}"#, r#"{"client":"c"}"#).replace("oracle", "trip");
        assert!(!KillData::read(&known).unwrap().selector.is_whole());
        for garbage in ["", "{", "[]", r#"{"target":"NO"}"#, r#"{"target":7}"#] {
            assert!(KillData::read(garbage).is_none(), "{garbage}");
        }
    }
}

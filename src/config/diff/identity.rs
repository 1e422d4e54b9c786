//! Compares who may call as the vendor.

use super::WideningReport;
use crate::config::units::format_duration;
use crate::identity::{IdentitySettings, RotationRules, SenderBinding, SupersededBy, TokenSettings};

/// Reports who can newly be taken for the vendor.
pub(super) fn compare(report: &mut WideningReport<'_>, old: Option<&IdentitySettings>, new: Option<&IdentitySettings>) {
    match (old, new) {
        (_, None) => {}
        (None, Some(new)) => report.add("identity", "", form(new)),
        (Some(IdentitySettings::Token(old)), Some(IdentitySettings::Token(new))) => tokens(report, old, new),
        (Some(old), Some(new)) if old != new => report.add("identity", form(old), format!("another {}", form(new))),
        (Some(_), Some(_)) => {}
    }
}

const fn form(identity: &IdentitySettings) -> &'static str {
    match identity {
        IdentitySettings::Token(_) => "token",
        IdentitySettings::Certificate(_) => "certificate",
        IdentitySettings::Webhook(_) => "webhook",
    }
}

fn tokens(report: &mut WideningReport<'_>, old: &TokenSettings, new: &TokenSettings) {
    let TokenSettings {
        issuer,
        audience,
        clients,
        keys,
        algorithms,
        sender,
        // What it sets is compared field by field.
        profile: _,
        claims,
        shape,
        clock_skew,
        rotation,
        fetch,
    } = new;
    report.changed("identity.issuer", &old.issuer, issuer, Clone::clone);
    report.changed("identity.audience", &old.audience, audience, |audience| audience.clone().unwrap_or("none".into()));
    for client in clients.iter().filter(|client| !old.clients.contains(client)) {
        report.add("identity.clients", "", client.as_str());
    }
    for algorithm in algorithms.iter().filter(|algorithm| !old.algorithms.contains(algorithm)) {
        report.add("identity.algorithms", "", algorithm.as_str());
    }
    if *sender != old.sender && old.sender != SenderBinding::None {
        report.add("identity.sender", format!("{:?}", old.sender), format!("{sender:?}"));
    }
    let other = |_: &_| "another".to_owned();
    report.changed("identity.jwks", &old.keys, keys, |_| "other keys".to_owned());
    report.changed("identity.claims", &old.claims, claims, |_| "other claims".to_owned());
    report.changed("identity.typ", &old.shape, shape, |_| "other tokens".to_owned());
    report.changed("identity.fetch", &old.fetch, fetch, other);
    if *clock_skew > old.clock_skew {
        report.add("identity.clock_skew", format_duration(old.clock_skew), format_duration(*clock_skew));
    }
    rotation_rules(report, &old.rotation, rotation);
}

fn rotation_rules(report: &mut WideningReport<'_>, old: &RotationRules, new: &RotationRules) {
    let RotationRules {
        max_lifetime,
        max_lifetime_written,
        max_age,
        superseded_grace,
        superseded,
        max_key_age,
        expired_grace,
    } = new;
    for (key, old, new) in [
        ("max_lifetime", old.max_lifetime, *max_lifetime),
        ("max_age", old.max_age, *max_age),
        ("superseded_grace", old.superseded_grace, *superseded_grace),
        ("max_key_age", old.max_key_age, *max_key_age),
    ] {
        if let Some(before) = old
            && new.is_none_or(|new| new > before)
        {
            let now = new.map(format_duration).unwrap_or_default();
            report.add(format!("identity.rotation.{key}"), format_duration(before), now);
        }
    }
    if old.max_lifetime_written && !max_lifetime_written {
        report.add("identity.rotation.max_lifetime", "written", "the default, which needs no iat");
    }
    if let Some(grace) = *expired_grace
        && old.expired_grace.is_none_or(|before| grace > before)
    {
        let was = old.expired_grace.map(format_duration).unwrap_or_default();
        report.add("identity.rotation.expired_grace", was, format_duration(grace));
    }
    if old.superseded == SupersededBy::PerClient && *superseded == SupersededBy::PerSubject {
        report.add("identity.rotation.superseded", "per_client", "per_subject");
    }
}

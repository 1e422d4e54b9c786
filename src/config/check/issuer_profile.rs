//! Fills in what `issuer_profile:` says of an issuer's tokens, where the contract itself says nothing.

use crate::config::contract::ContractRoutes;
use crate::config::file::identity as written;
use crate::config::source::Cursor;
use crate::identity::{IdentitySettings, IssuerProfile, TokenSettings};

/// `issuer_profile:`. Introspection answers have the members of RFC 7662, whatever the issuer's tokens are like.
pub(super) fn profile(at: &Cursor<'_>, written: &written::IdentityConfig) -> Option<IssuerProfile> {
    let profile = written.issuer_profile?;
    if written.introspection.is_some() {
        let wrong = "is about signed tokens, and introspection about opaque ones";
        at.key("issuer_profile").fault(wrong, "take it out, and write claims: for what the answers hold");
    }
    let misfit = profile.misfit(written.issuer.as_deref()?, written.audience.as_deref());
    if let Some(misfit) = misfit {
        at.key(misfit.key).invalid(format!("{} ({})", misfit.wrong, profile.as_str()), misfit.instead);
    }
    Some(profile)
}

/// Puts the profile's defaults where nothing is written. Required claims are joined: a claim that the contract names
/// itself is not asked for twice.
pub(super) fn fill(settings: &mut TokenSettings, written: &written::IdentityConfig) {
    let Some(profile) = settings.profile else { return };
    let claims = &mut settings.claims;
    let own = written.claims.as_ref();
    if own.is_none_or(|own| own.client.is_none()) {
        claims.client = profile.client();
    }
    if own.is_none_or(|own| own.scopes.is_none()) {
        claims.scopes = profile.scopes(settings.audience.as_deref());
    }
    for (path, text) in profile.required(settings.sender) {
        if !claims.required.iter().any(|(named, _)| *named == path) {
            claims.required.push((path, text));
        }
    }
    if written.typ.is_none() {
        settings.shape.accept_plain_jwt = true;
    }
    if written.algorithms.is_none() {
        settings.algorithms = profile.algorithms().to_vec();
    }
}

/// Warns of routes that no token of the issuer could be used on: it holds no scopes.
pub(super) fn check_scopes(at: &Cursor<'_>, identity: Option<&IdentitySettings>, ingress: &ContractRoutes) {
    let Some(IdentitySettings::Token(settings)) = identity else { return };
    let holds_none = settings.profile == Some(IssuerProfile::Google) && settings.claims.scopes.is_empty();
    if holds_none && ingress.as_slice().iter().any(|route| route.scopes.iter().next().is_some()) {
        let wrong = "means tokens without scopes, and routes of this contract ask for some";
        at.key("identity").key("issuer_profile").warning(wrong, "write scopes: [] at these routes");
    }
}

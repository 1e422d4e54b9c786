//! Checks all contracts together.

use std::collections::HashMap;

use super::upstream_group;
use super::upstreams::Upstreams;
use crate::config::contract::{Contract, ContractRoute};
use crate::config::source::Cursor;
use crate::credentials::CredentialSettings;
use crate::identity::{IdentitySettings, TokenSettings};
use crate::model::Direction;
use crate::pii::Rules;

/// Reports two contracts for one vendor, a client that is in two contracts, and a contract that needs a missing master
/// key.
pub(in crate::config) fn check_vendors<'a>(contracts: &[(Cursor<'a>, Contract)], has_master_key: bool) {
    let mut vendors: HashMap<&str, &Cursor<'a>> = HashMap::new();
    let mut clients: HashMap<(&str, &str), &Cursor<'a>> = HashMap::new();
    for (at, contract) in contracts {
        let first = *vendors.entry(contract.vendor.as_str()).or_insert(at);
        if !std::ptr::eq(first, at) {
            let there = first.key("vendor").file_and_line();
            at.key("vendor").invalid_with_remedy(
                format!("has a contract already, at {there}"),
                "keep one contract for each vendor",
            );
        }
        let identity = tokens(contract).into_iter();
        for (i, (identity, client)) in identity.flat_map(|it| it.clients.iter().map(move |id| (it, id))).enumerate() {
            let first = *clients.entry((&identity.issuer, client.as_str())).or_insert(at);
            if !std::ptr::eq(first, at) {
                let there = first.key("identity").file_and_line();
                let wrong = format!("is a client of this issuer in another contract too, at {there}");
                at.key("identity")
                    .key("clients")
                    .item(i)
                    .invalid_with_remedy(wrong, "keep each client in one contract");
            }
        }
        if !has_master_key && needs_keys(contract) {
            let instead = "add keys: { master: keys/master.key } to the main file";
            at.fault(
                "tokenizes, hashes, encrypts, reveals, counts subjects or keeps a refresh token, and the main file names no keys.master",
                instead,
            );
        }
    }
}

/// Warns of internal APIs with retries that no route of any contract can have.
pub(in crate::config) fn check_retries(
    at: &Cursor<'_>,
    upstreams: Option<&Upstreams>,
    contracts: &[(Cursor<'_>, Contract)],
) {
    for upstream in upstreams.into_iter().flat_map(Upstreams::values) {
        let routes = contracts.iter().flat_map(|(_, contract)| contract.ingress.as_slice());
        let routes = routes.filter(|route| route.upstream.id == upstream.id);
        let at = at.key(upstream.id.as_str()).key("retry");
        upstream_group::check_retried(&at, upstream.group.retry.as_ref(), routes);
    }
}

fn tokens(contract: &Contract) -> Option<&TokenSettings> {
    match contract.identity.as_ref()? {
        IdentitySettings::Token(settings) => Some(settings),
        IdentitySettings::Certificate(_) | IdentitySettings::Webhook(_) => None,
    }
}

fn needs_keys(contract: &Contract) -> bool {
    let holds = contract.credentials.as_ref().is_some_and(CredentialSettings::needs_master_key);
    let routes = Direction::ALL.into_iter().flat_map(|direction| contract.routes(direction).as_slice());
    holds || routes.flat_map(|ContractRoute { request, response, .. }| [request, response]).any(is_keyed)
}

fn is_keyed(rules: &Rules) -> bool {
    rules.subject.is_some()
        || !rules.reveal.is_empty()
        || rules.treat.iter().any(|rule| rule.treatment.kind().is_keyed())
}

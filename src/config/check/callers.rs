//! Checks `callers:` of the main file, and of a contract the list of those that may call its vendor.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::operators;
use crate::bounds::CALLERS_MAX;
use crate::config::file::callers::CallerConfig;
use crate::config::settings::{ClientCertificateSettings, EgressSettings, ListenerSettings, Operator};
use crate::config::source::Cursor;
use crate::http::is_loopback_address;
use crate::identity::{ServiceSettings, SubjectAltName};
use crate::model::ClientId;

/// Our services. No proof may be that of two.
pub(in crate::config) fn callers(
    at: &Cursor<'_>,
    written: Option<&BTreeMap<String, CallerConfig>>,
    listener: Option<&ListenerSettings>,
    egress: &EgressSettings,
) -> Vec<ServiceSettings> {
    let mut services: Vec<ServiceSettings> = Vec::new();
    if written.is_some_and(|written| written.len() > CALLERS_MAX) {
        at.fault(format!("names more than {CALLERS_MAX} services"), "split them over several gateways");
    }
    for (name, written) in written.into_iter().flatten().take(CALLERS_MAX) {
        let at = at.key(name);
        let service = caller(&at, name, written);
        let twice = |same: fn(&ServiceSettings, &ServiceSettings) -> bool| {
            services.iter().any(|earlier| same(earlier, &service))
        };
        let shared = [
            ("uid", twice(|one, other| one.uid.is_some() && one.uid == other.uid)),
            ("certificate", twice(|one, other| one.certificate.is_some() && one.certificate == other.certificate)),
            ("token_sha256", twice(|one, other| one.token_sha256.is_some() && one.token_sha256 == other.token_sha256)),
        ];
        for (key, _) in shared.into_iter().filter(|(_, is_shared)| *is_shared) {
            let instead = "give each service a proof of its own";
            at.key(key).fault_without_line("proves another service too: they could not be told apart", instead);
        }
        if let Some(listener) = listener {
            check_provable(&at, &service, listener, egress);
        }
        services.push(service);
    }
    services
}

fn caller(at: &Cursor<'_>, name: &str, written: &CallerConfig) -> ServiceSettings {
    const HASH_IT: &str = "make a random token, and write what `printf %s \"$TOKEN\" | sha256sum` prints";
    if !Operator::is_name(name) {
        at.fault("has a name that is not 1 to 64 of letters, digits, '-', '_', '.' and '@'", "write such as checkout");
    }
    let service = ServiceSettings {
        name: ClientId::new(name),
        uid: written.uid,
        certificate: written.certificate.as_deref().map(SubjectAltName::parse),
        token_sha256: written
            .token_sha256
            .as_deref()
            .and_then(|text| operators::hash(&at.key("token_sha256"), text, HASH_IT)),
    };
    if written.uid.is_none() && written.certificate.is_none() && written.token_sha256.is_none() {
        at.fault("proves itself by nothing", "write uid, certificate or token_sha256");
    }
    service
}

/// Reports a proof that the listener can never be given.
fn check_provable(at: &Cursor<'_>, service: &ServiceSettings, listener: &ListenerSettings, egress: &EgressSettings) {
    if service.uid.is_some() && egress.socket.is_none() {
        at.key("uid").fault(
            "can never be proven: listeners.egress is no Unix socket",
            "write bind: \"unix:/run/vendorgate/egress.sock\"",
        );
    }
    let asks = listener.tls.as_ref().is_some_and(|tls| tls.client != ClientCertificateSettings::None);
    if service.certificate.is_some() && !asks {
        at.key("certificate")
            .fault("can never be proven: listeners.egress asks for no client certificate", "give it a tls.client_ca");
    }
    let is_open = egress.socket.is_none() && listener.tls.is_none() && !is_loopback_address(listener.bind.ip());
    if service.token_sha256.is_some() && is_open {
        let wrong = "its token would pass in clear: anyone who listens on the way could call in its name";
        at.key("token_sha256").warning(wrong, "give listeners.egress a tls section, or bind it to 127.0.0.1");
    }
}

/// `egress.callers` of a contract. `known` are the services of the main file, where it is read.
pub(super) fn listed(
    at: &Cursor<'_>,
    written: Option<&Vec<String>>,
    known: Option<&[ServiceSettings]>,
) -> Option<Arc<[ClientId]>> {
    let written = written?;
    if written.is_empty() {
        at.fault("lists nobody, so nobody may call", "list services of callers: in the main file, or take it out");
    }
    for (index, name) in written.iter().enumerate() {
        if known.is_some_and(|known| !known.iter().any(|service| service.name.as_str() == name)) {
            let names: Vec<&str> = known.into_iter().flatten().map(|service| service.name.as_str()).collect();
            let instead = match names.is_empty() {
                true => "name it under callers: in the main file".to_owned(),
                false => format!("write one of {}", names.join(", ")),
            };
            at.item(index).invalid_with_remedy("is none of the main file's callers", instead);
        }
    }
    Some(written.iter().map(|name| ClientId::new(name)).collect())
}

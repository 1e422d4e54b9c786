//! Checks `listeners:`.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

use super::{files, values};
use crate::bounds::{HEAD_DEADLINE, HEAD_DEADLINE_MAX, IDLE_DEADLINE, IDLE_DEADLINE_MAX, UNPROVEN_CONNECTIONS_MAX};
use crate::config::file;
use crate::config::settings::{ClientCertificateSettings, ListenerSettings, ListenersSettings, TlsSettings};
use crate::config::source::Cursor;
use crate::http::is_loopback_address;

/// Checks what is written under `listeners:`.
pub(in crate::config) fn listeners(at: &Cursor<'_>, written: Option<&file::ListenersConfig>) -> ListenersSettings {
    let Some(written) = written else {
        return ListenersSettings { ingress: None, egress: None, admin: None, admin_page: true };
    };
    if written.ingress.is_none() && written.egress.is_none() {
        at.fault(
            "must have ingress or egress: there is nothing to serve",
            "write ingress: { bind: \"127.0.0.1:8080\" }",
        );
    }
    let plain = |name: &str, listener: &file::ListenerConfig| self::listener(&at.key(name), listener);
    let listeners = ListenersSettings {
        ingress: written.ingress.as_ref().map(|listener| plain("ingress", listener)),
        egress: written.egress.as_ref().map(|egress| ListenerSettings {
            transparent: egress.transparent.unwrap_or_default(),
            ..plain("egress", &egress.listener())
        }),
        admin: written.admin.as_ref().map(|admin| bound(&at.key("admin"), admin.bind.as_deref(), admin.tls.as_ref())),
        admin_page: written.admin.as_ref().and_then(|admin| admin.page).unwrap_or(true),
    };
    check_distinct(at, &listeners);
    check_admin(&at.key("admin").key("bind"), listeners.admin.as_ref());
    listeners
}

fn listener(at: &Cursor<'_>, written: &file::ListenerConfig) -> ListenerSettings {
    let plain = bound(at, written.bind.as_deref(), written.tls.as_ref());
    let span = |name: &str, written, most| values::duration(&at.key(name), written, most);
    ListenerSettings {
        http2: written.http2.unwrap_or(plain.http2),
        head_timeout: span("head_timeout", written.head_timeout.as_ref(), HEAD_DEADLINE_MAX)
            .unwrap_or(plain.head_timeout),
        idle_timeout: span("idle_timeout", written.idle_timeout.as_ref(), IDLE_DEADLINE_MAX)
            .unwrap_or(plain.idle_timeout),
        unproven_per_address: written
            .unproven_per_address
            .and_then(NonZeroU32::new)
            .unwrap_or(plain.unproven_per_address),
        ..plain
    }
}

/// A listener with the defaults for all but its address and TLS.
fn bound(at: &Cursor<'_>, bind: Option<&str>, tls: Option<&file::TlsConfig>) -> ListenerSettings {
    let bind = bind.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), |text| bind_address(&at.key("bind"), text));
    ListenerSettings {
        bind,
        tls: tls.map(|tls| self::tls(&at.key("tls"), tls)),
        http2: true,
        head_timeout: HEAD_DEADLINE,
        idle_timeout: IDLE_DEADLINE,
        unproven_per_address: UNPROVEN_CONNECTIONS_MAX,
        transparent: false,
    }
}

fn bind_address(at: &Cursor<'_>, text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
        let meant = port.map(|port| format!("\"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for all interfaces"));
        at.invalid_with_guess("must be an IP address and a port", meant, "\"127.0.0.1:8443\"");
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    })
}

fn tls(at: &Cursor<'_>, written: &file::TlsConfig) -> TlsSettings {
    let [cert, key] = [&written.cert, &written.key].map(|text| text.as_deref().unwrap_or_default());
    let (cert, key) = files::identity(&at.key("cert"), cert, &at.key("key"), key);
    let ca = written.client_ca.as_deref().map(|text| files::authorities(&at.key("client_ca"), text));
    let client = match (ca, written.client_auth) {
        (Some(ca), Some(file::ClientAuthConfig::Required)) => ClientCertificateSettings::Required { ca },
        (Some(ca), Some(file::ClientAuthConfig::Optional) | None) => ClientCertificateSettings::Optional { ca },
        (None, None) => ClientCertificateSettings::None,
        (None, Some(_)) => {
            at.key("client_auth")
                .fault("needs a client_ca to judge certificates by", "write client_ca: tls/vendors-ca.pem");
            ClientCertificateSettings::None
        }
    };
    TlsSettings { cert, key, client }
}

/// Warns of an admin listener beyond this machine without TLS: operators' tokens control the whole gateway.
fn check_admin(at: &Cursor<'_>, admin: Option<&ListenerSettings>) {
    if admin.is_some_and(|admin| admin.tls.is_none() && !is_loopback_address(admin.bind.ip())) {
        let wrong = "operators' tokens would pass in clear: anyone who listens on the way could use the kill switch";
        at.warning(wrong, "write tls: { cert: …, key: … } beside it, or bind it to 127.0.0.1");
    }
}

fn check_distinct(at: &Cursor<'_>, listeners: &ListenersSettings) {
    let named = [("ingress", &listeners.ingress), ("egress", &listeners.egress), ("admin", &listeners.admin)];
    for (i, (name, listener)) in named.iter().enumerate() {
        let Some(bind) = listener.as_ref().map(|listener| listener.bind).filter(|bind| bind.port() != 0) else {
            continue;
        };
        let taken = |other: &Option<ListenerSettings>| other.as_ref().is_some_and(|other| other.bind == bind);
        if let Some((earlier, _)) = named[..i].iter().find(|(_, other)| taken(other)) {
            at.key(name).key("bind").invalid_with_remedy(
                format!("is the address of listeners.{earlier} too"),
                "give one of them another port",
            );
        }
    }
}

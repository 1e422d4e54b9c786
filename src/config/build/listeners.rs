//! `listeners:`

use std::net::{Ipv4Addr, SocketAddr};

use super::files;
use crate::config::file;
use crate::config::settings::{ClientCertificate, Listener, Listeners, Tls};
use crate::config::source::At;

/// `listeners:`
pub(in crate::config) fn listeners(at: &At<'_>, written: Option<&file::Listeners>) -> Listeners {
    let Some(written) = written else { return Listeners { ingress: None, egress: None, admin: None } };
    if written.ingress.is_none() && written.egress.is_none() {
        at.fault(
            "must have ingress or egress: there is nothing to serve",
            "write ingress: { bind: \"127.0.0.1:8080\" }",
        );
    }
    let plain = |name: &str, listener: &file::Listener| {
        let at = at.key(name);
        self::listener(&at, listener.bind.as_deref(), listener.tls.as_ref(), listener.http2)
    };
    let listeners = Listeners {
        ingress: written.ingress.as_ref().map(|listener| plain("ingress", listener)),
        egress: written.egress.as_ref().map(|listener| plain("egress", listener)),
        admin: written
            .admin
            .as_ref()
            .map(|admin| listener(&at.key("admin"), admin.bind.as_deref(), admin.tls.as_ref(), None)),
    };
    check_distinct(at, &listeners);
    check_admin(&at.key("admin").key("bind"), listeners.admin.as_ref());
    listeners
}

fn listener(at: &At<'_>, bind: Option<&str>, tls: Option<&file::Tls>, http2: Option<bool>) -> Listener {
    let bind = bind.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), |text| bind_address(&at.key("bind"), text));
    Listener { bind, tls: tls.map(|tls| self::tls(&at.key("tls"), tls)), http2: http2.unwrap_or(true) }
}

fn bind_address(at: &At<'_>, text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
        let meant = port.map(|port| format!("\"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for all interfaces"));
        at.bad_or("must be an IP address and a port", meant, "\"127.0.0.1:8443\"");
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    })
}

fn tls(at: &At<'_>, written: &file::Tls) -> Tls {
    let place_key =
        |_: &std::path::Path| "put the private key of the certificate there, readable by the gateway alone".to_owned();
    let cert = files::beside_secrets(&at.key("cert"), written.cert.as_deref().unwrap_or_default());
    let key =
        files::secret(&at.key("key"), written.key.as_deref().unwrap_or_default(), files::Readers::Group, place_key);
    let ca = written.client_ca.as_deref().map(|text| files::beside_secrets(&at.key("client_ca"), text));
    let client = match (ca, written.client_auth) {
        (Some(ca), Some(file::ClientAuth::Required)) => ClientCertificate::Required { ca },
        (Some(ca), Some(file::ClientAuth::Optional) | None) => ClientCertificate::Optional { ca },
        (None, None) => ClientCertificate::None,
        (None, Some(_)) => {
            at.key("client_auth")
                .fault("needs a client_ca to judge certificates by", "write client_ca: tls/vendors-ca.pem");
            ClientCertificate::None
        }
    };
    Tls { cert, key, client }
}

/// Operators' tokens are worth as much as the gateway itself.
fn check_admin(at: &At<'_>, admin: Option<&Listener>) {
    if admin.is_some_and(|admin| admin.tls.is_none() && !admin.bind.ip().is_loopback()) {
        let wrong = "operators' tokens would pass in clear: whoever listens on the way could take the kill switch over";
        at.warning(wrong, "write tls: { cert: …, key: … } beside it, or bind it to 127.0.0.1");
    }
}

fn check_distinct(at: &At<'_>, listeners: &Listeners) {
    let named = [("ingress", &listeners.ingress), ("egress", &listeners.egress), ("admin", &listeners.admin)];
    for (i, (name, listener)) in named.iter().enumerate() {
        let Some(bind) = listener.as_ref().map(|listener| listener.bind).filter(|bind| bind.port() != 0) else {
            continue;
        };
        let taken = |other: &Option<Listener>| other.as_ref().is_some_and(|other| other.bind == bind);
        if let Some((earlier, _)) = named[..i].iter().find(|(_, other)| taken(other)) {
            at.key(name)
                .key("bind")
                .bad_so(format!("is the address of listeners.{earlier} too"), "give one of them another port");
        }
    }
}

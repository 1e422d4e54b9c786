//! Checks `tls:` of an upstream.

use super::files;
use crate::config::file::upstream_tls::UpstreamTlsConfig;
use crate::config::source::Cursor;
use crate::http::{KeyPin, UrlScheme};
use crate::upstream::UpstreamTlsSettings;

/// What is written under `tls:` of an upstream of this scheme.
pub(super) fn upstream_tls(at: &Cursor<'_>, written: &UpstreamTlsConfig, scheme: UrlScheme) -> UpstreamTlsSettings {
    if scheme == UrlScheme::Http {
        at.fault("has no effect: the upstream is called in clear", "write an https URL, or take it out");
    }
    let ca = written.ca.as_deref().map(|text| files::authorities(&at.key("ca"), text));
    let pins = written.pins.as_deref().map(|texts| pins(&at.key("pins"), texts)).unwrap_or_default();
    let identity = match (&written.cert, &written.key) {
        (Some(cert), Some(key)) => Some(files::identity(&at.key("cert"), cert, &at.key("key"), key)),
        (None, None) => None,
        (Some(_), None) => {
            at.key("cert").fault("needs its private key", "write key: tls/acme-client.key beside it");
            None
        }
        (None, Some(_)) => {
            at.key("key")
                .fault("needs the certificate that it belongs to", "write cert: tls/acme-client.pem beside it");
            None
        }
    };
    UpstreamTlsSettings { ca, pins, identity }
}

fn pins(at: &Cursor<'_>, texts: &[String]) -> Box<[KeyPin]> {
    if texts.is_empty() {
        at.fault("lists no key: every certificate would be refused", "write the SHA-256 of the key, or take it out");
    }
    let read = |(i, text): (usize, &String)| {
        let pin = KeyPin::parse(text);
        if pin.is_none() {
            let how = "openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64";
            at.item(i)
                .invalid_with_remedy("must be a SHA-256 in base64, 44 characters", format!("make it with `{how}`"));
        }
        pin
    };
    texts.iter().enumerate().filter_map(read).collect()
}

//! Checks `fleet:`.

use std::path::{Path, PathBuf};

use super::{files, values};
use crate::bounds::{FLEET_START_WAIT, FLEET_START_WAIT_MAX};
use crate::config::file::fleet as written;
use crate::config::source::Cursor;
use crate::fleet::{EngineUrl, FleetSettings, FleetTlsSettings};
use crate::http::is_loopback;

/// Where Linux says what the machine is called.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Checks what is written under `fleet:`.
pub(in crate::config) fn fleet(at: &Cursor<'_>, written: &written::FleetConfig) -> Option<FleetSettings> {
    let engine = place(&at.key("redis"), written.redis.as_deref()?);
    let tls = written.tls.as_ref().map(|tls| self::tls(&at.key("tls"), tls)).unwrap_or_default();
    if written.tls.is_some() && engine.as_ref().is_some_and(|engine| !engine.tls) {
        at.key("tls").fault("has no effect: the server is talked to in clear", "write rediss:// above, or take it out");
    }
    if written.user.is_some() && written.password_file.is_none() {
        at.key("user").fault("has no password", "write password_file: secrets/redis beside it");
    }
    let name = written.name.as_deref().unwrap_or("default");
    let wait = values::duration(&at.key("start_wait"), written.start_wait.as_ref(), FLEET_START_WAIT_MAX);
    Some(FleetSettings {
        name: values::name(&at.key("name"), name, "eu-prod"),
        node: node(&at.key("node"), written.node.as_deref()),
        tls,
        user: written.user.clone(),
        password_file: written.password_file.as_deref().map(|text| password(&at.key("password_file"), text)),
        on_start: written.on_start.unwrap_or_default(),
        start_wait: wait.unwrap_or(FLEET_START_WAIT),
        on_loss: written.on_loss.unwrap_or_default(),
        engine: engine?,
    })
}

fn place(at: &Cursor<'_>, text: &str) -> Option<EngineUrl> {
    match EngineUrl::parse(text) {
        Ok(place) => {
            if !place.tls && !place.servers.iter().all(|server| is_loopback(&server.host)) {
                let wrong = "talks to another machine in clear: who is on the way can undo a kill";
                at.warning(wrong, "write rediss://, and tls: where the server's authority is your own");
            }
            Some(place)
        }
        Err(error) if text.contains('@') => {
            at.fault_without_line(error.to_string(), "write user: and password_file: beside it");
            None
        }
        Err(error) => {
            at.invalid(error.to_string(), "rediss://redis.internal:6379");
            None
        }
    }
}

fn node(at: &Cursor<'_>, written: Option<&str>) -> String {
    if let Some(text) = written {
        return values::name(at, text, "gw-eu-1");
    }
    let found = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
    let found = found.trim();
    if !crate::config::Operator::is_name(found) {
        at.fault("needs a node: this machine's name cannot be used", "write node: gw-eu-1");
    }
    found.to_owned()
}

fn tls(at: &Cursor<'_>, written: &written::FleetTlsConfig) -> FleetTlsSettings {
    let ca = written.ca.as_deref().map(|text| files::authorities(&at.key("ca"), text));
    let identity = match (&written.cert, &written.key) {
        (Some(cert), Some(key)) => Some(files::identity(&at.key("cert"), cert, &at.key("key"), key)),
        (None, None) => None,
        (Some(_), None) => {
            at.key("cert").fault("needs its private key", "write key: tls/redis-client.key beside it");
            None
        }
        (None, Some(_)) => {
            at.key("key")
                .fault("needs the certificate that it belongs to", "write cert: tls/redis-client.pem beside it");
            None
        }
    };
    FleetTlsSettings { ca, identity }
}

fn password(at: &Cursor<'_>, text: &str) -> PathBuf {
    let place = |path: &Path| format!("put the password into {}", path.display());
    let path = files::secret(at, text, files::AllowedReaders::Group, place);
    files::secret_content(at, &path, |content| {
        let text = std::str::from_utf8(content).map_err(|_| "is not text".to_owned())?;
        if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(None) }
    });
    path
}

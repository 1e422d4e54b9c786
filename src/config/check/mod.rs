//! Checks what is written and makes settings of it: one file for each section, every fault reported.
//!
//! A check never stops at a fault: it reports it, takes a harmless value in its place and checks the rest. The settings
//! are only used when nothing was reported.

mod body_format;
mod callers;
mod category;
mod certificate;
mod claims;
mod clear;
mod contract;
mod credentials;
mod egress_listener;
mod evidence;
mod fallback;
mod files;
mod fleet;
mod graphql;
mod identity;
mod issuer;
mod issuer_profile;
mod lifecycle;
mod limits;
mod listeners;
mod oauth;
mod observe;
mod operators;
mod parameters;
mod reach;
mod records;
mod residency;
mod reveal;
mod routes;
mod rules;
mod secret_sources;
mod undeclared;
mod upstream_group;
mod upstream_tls;
mod upstreams;
mod values;
mod vendors;
mod webhook;
mod websocket;

pub(super) use contract::{ContractContext, contract};
pub(super) use egress_listener::egress;
pub use evidence::read_hook_secret;
pub(super) use evidence::{audit, hooks};
pub(super) use files::count_authorities;
pub(super) use fleet::fleet;
pub(super) use listeners::listeners;
pub(super) use operators::operators;
pub(super) use reach::{check_hosts, check_interception, check_own_addresses};
pub(super) use residency::{check_named, policy as residency_policy, prove as prove_residency};
pub(super) use upstreams::upstreams;
pub(super) use vendors::{check_retries, check_vendors};

use std::path::PathBuf;

use super::file;
use super::settings::{DrainSettings, KeysSettings, MasterKeyLocation, StateSettings};
use super::source::Cursor;
use crate::bounds::{DRAIN_DEADLINE, DRAIN_DEADLINE_MAX};
use crate::model::with_causes;
use crate::pii::keys::KeyError;
use crate::telemetry::log;

/// Checks what is written under `state:`.
pub(super) fn state(at: &Cursor<'_>, written: Option<&file::StateConfig>) -> StateSettings {
    let at = at.key("path");
    let path = written.and_then(|state| state.path.as_deref()).unwrap_or_default();
    if path.is_empty() {
        at.invalid("must name a folder", "/var/lib/vendorgate");
    }
    let path = at.file_path(path);
    if path.exists() && !path.is_dir() {
        at.invalid("must be a folder, and is a file", "/var/lib/vendorgate");
    }
    StateSettings { path }
}

/// Checks what is written under `keys:`.
pub(super) fn keys(at: &Cursor<'_>, written: Option<&file::KeysConfig>) -> KeysSettings {
    let at = at.key("master");
    let master = written.and_then(|keys| keys.master.as_deref());
    let generate =
        |path: &std::path::Path| format!("make one with `vendorgate keys generate --out {}`", path.display());
    KeysSettings {
        master: master.map(|text| match text.strip_prefix("env:") {
            Some(name) => master_variable(&at, name),
            None => master_file(&at, files::secret(&at, text, files::AllowedReaders::Owner, generate)),
        }),
    }
}

/// Checks the content of the master key's file. A file that is missing or that others can read was reported before.
fn master_file(at: &Cursor<'_>, path: PathBuf) -> MasterKeyLocation {
    let (is_file, shown) = (path.is_file(), path.display().to_string());
    let place = MasterKeyLocation::File(path);
    if !is_file {
        return place;
    }
    match place.source().load() {
        Err(error @ (KeyError::Line { .. } | KeyError::ActiveCount(_))) => {
            at.fault(
                format!("{shown} holds no usable key: {error}"),
                "put the file that `vendorgate keys generate` made there",
            );
        }
        Err(error @ KeyError::File { .. }) => at.missing_secret(with_causes(&error), "let the gateway's user read it"),
        Ok(_) | Err(_) => {}
    }
    place
}

/// Checks the master key in an environment variable. Faults show the variable's name, never its value.
fn master_variable(at: &Cursor<'_>, name: &str) -> MasterKeyLocation {
    let place = MasterKeyLocation::Environment(name.to_owned());
    match place.source().load() {
        Err(error @ KeyError::NoVariable(_)) => {
            at.missing_secret(error.to_string(), "put 32 random bytes in base64 there, or the text of a key file");
        }
        Err(error) => at.fault(format!("{name} holds no usable key: {error}"), ""),
        Ok(_) => {}
    }
    place
}

/// Checks what is written under `drain:`.
pub(super) fn drain(at: &Cursor<'_>, written: Option<&file::DrainConfig>) -> DrainSettings {
    let deadline = written.and_then(|drain| drain.deadline.as_ref());
    let deadline = values::duration(&at.key("deadline"), deadline, DRAIN_DEADLINE_MAX).unwrap_or(DRAIN_DEADLINE);
    DrainSettings { deadline }
}

/// Checks what is written under `log:`.
pub(super) fn log(written: Option<&file::LogConfig>) -> log::LogSettings {
    let format = written.and_then(|log| log.format).unwrap_or_default();
    let level = match written.and_then(|log| log.level) {
        Some(file::LogLevelConfig::Error) => log::LevelFilter::ERROR,
        Some(file::LogLevelConfig::Warn) => log::LevelFilter::WARN,
        Some(file::LogLevelConfig::Info) | None => log::LevelFilter::INFO,
        Some(file::LogLevelConfig::Debug) => log::LevelFilter::DEBUG,
        Some(file::LogLevelConfig::Trace) => log::LevelFilter::TRACE,
    };
    log::LogSettings { format, level }
}

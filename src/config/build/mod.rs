//! From what was written to what is meant: one file per section, every fault on the way reported.
//!
//! A builder always goes on: where a value is wrong it reports, takes a harmless one in its place, and looks at the rest.
//! What it makes is only used when nothing was reported.

mod across;
mod claims;
mod clear;
mod contract;
mod evidence;
mod files;
mod graphql;
mod identity;
mod inward;
mod issuer;
mod limits;
mod listeners;
mod operators;
mod proofs;
mod reading;
mod routes;
mod rules;
mod standing;
mod upstreams;
mod values;
mod webhook;

pub(super) use across::check_vendors;
pub(super) use contract::{Surroundings, contract};
pub use evidence::read_hook_secret;
pub(super) use evidence::{audit, hooks};
pub(super) use files::count_authorities;
pub(super) use listeners::listeners;
pub(super) use operators::operators;
pub(super) use upstreams::upstreams;

use std::path::PathBuf;

use super::file;
use super::settings::{Drain, Keys, MasterKeyPlace, State};
use super::source::At;
use crate::bounds::{DRAIN_DEADLINE, DRAIN_DEADLINE_MAX};
use crate::model::with_causes;
use crate::pii::keys::KeyError;
use crate::telemetry::log;

/// `state:`
pub(super) fn state(at: &At<'_>, written: Option<&file::State>) -> State {
    let at = at.key("path");
    let path = written.and_then(|state| state.path.as_deref()).unwrap_or_default();
    if path.is_empty() {
        at.bad("must name a folder", "/var/lib/vendorgate");
    }
    let path = at.file_path(path);
    if path.exists() && !path.is_dir() {
        at.bad("must be a folder, and is a file", "/var/lib/vendorgate");
    }
    State { path }
}

/// `keys:`
pub(super) fn keys(at: &At<'_>, written: Option<&file::Keys>) -> Keys {
    let at = at.key("master");
    let master = written.and_then(|keys| keys.master.as_deref());
    let generate =
        |path: &std::path::Path| format!("make one with `vendorgate keys generate --out {}`", path.display());
    Keys {
        master: master.map(|text| match text.strip_prefix("env:") {
            Some(name) => master_variable(&at, name),
            None => master_file(&at, files::secret(&at, text, files::Readers::Owner, generate)),
        }),
    }
}

/// A file that is missing, or open to others, has been reported.
fn master_file(at: &At<'_>, path: PathBuf) -> MasterKeyPlace {
    let (is_file, shown) = (path.is_file(), path.display().to_string());
    let place = MasterKeyPlace::File(path);
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

/// A variable's name is told, never its value.
fn master_variable(at: &At<'_>, name: &str) -> MasterKeyPlace {
    let place = MasterKeyPlace::Environment(name.to_owned());
    match place.source().load() {
        Err(error @ KeyError::NoVariable(_)) => {
            at.missing_secret(error.to_string(), "put 32 random bytes in base64 there, or the text of a key file");
        }
        Err(error) => at.fault(format!("{name} holds no usable key: {error}"), ""),
        Ok(_) => {}
    }
    place
}

/// `drain:`
pub(super) fn drain(at: &At<'_>, written: Option<&file::Drain>) -> Drain {
    let deadline = written.and_then(|drain| drain.deadline.as_ref());
    let deadline = values::duration(&at.key("deadline"), deadline, DRAIN_DEADLINE_MAX).unwrap_or(DRAIN_DEADLINE);
    Drain { deadline }
}

/// `log:`
pub(super) fn log(written: Option<&file::Log>) -> log::Settings {
    let format = match written.and_then(|log| log.format) {
        Some(file::LogFormat::Json) | None => log::Format::Json,
        Some(file::LogFormat::Human) => log::Format::Human,
    };
    let level = match written.and_then(|log| log.level) {
        Some(file::LogLevel::Error) => log::LevelFilter::ERROR,
        Some(file::LogLevel::Warn) => log::LevelFilter::WARN,
        Some(file::LogLevel::Info) | None => log::LevelFilter::INFO,
        Some(file::LogLevel::Debug) => log::LevelFilter::DEBUG,
        Some(file::LogLevel::Trace) => log::LevelFilter::TRACE,
    };
    log::Settings { format, level }
}

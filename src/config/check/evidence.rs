//! Checks `audit:` and `hooks:`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{files, values};
use crate::audit::{AuditTrailSettings, OnAuditFailure};
use crate::bounds::{AUDIT_ROTATE_BYTES, AUDIT_ROTATE_BYTES_MIN, HOOK_DEADLINE, HOOK_DEADLINE_MAX, HOOKS_MAX};
use crate::config::file::evidence as written;
use crate::config::settings::{AuditSettings, HookActionSettings, HookSettings, StateSettings};
use crate::config::source::Cursor;
use crate::config::units;
use crate::http::Url;
use crate::model::Secret;

/// Checks what is written under `audit:`.
pub(in crate::config) fn audit(
    at: &Cursor<'_>,
    written: Option<&written::AuditConfig>,
    state: &StateSettings,
) -> AuditSettings {
    let file = |name: &str, text: Option<&String>, default: &str| match text {
        Some(text) => at.key(name).file_path(text),
        None => state.path.join(default),
    };
    let path = file("path", written.and_then(|audit| audit.path.as_ref()), "audit/audit.jsonl");
    if path.is_dir() {
        at.key("path").invalid("must be a file, and is a folder", "audit.jsonl");
    }
    AuditSettings {
        key: file("key", written.and_then(|audit| audit.key.as_ref()), "audit.key"),
        trail: AuditTrailSettings {
            path,
            rotate_bytes: rotate(&at.key("rotate"), written.and_then(|audit| audit.rotate.as_ref())),
            on_failure: written.and_then(|audit| audit.on_failure).unwrap_or(OnAuditFailure::KeepServing),
        },
    }
}

fn rotate(at: &Cursor<'_>, written: Option<&crate::config::file::contract::SizeText>) -> u64 {
    let bytes = written.and_then(|size| at.parsed(units::parse_size(&size.0))).unwrap_or(AUDIT_ROTATE_BYTES);
    if bytes < AUDIT_ROTATE_BYTES_MIN {
        at.invalid("must be at least 64KiB", "64KiB");
    }
    bytes
}

/// Checks what is written under `hooks:`.
pub(in crate::config) fn hooks(at: &Cursor<'_>, written: &[written::HookConfig]) -> Vec<HookSettings> {
    if written.len() > HOOKS_MAX {
        at.fault(format!("lists more than {HOOKS_MAX} hooks"), "call one that calls the others");
    }
    let hooks = written.iter().enumerate().filter_map(|(i, hook)| {
        let at = at.item(i);
        let name = values::name(&at.key("name"), hook.name.as_deref()?, "pager");
        if written[..i].iter().any(|other| other.name == hook.name) {
            at.key("name").invalid("names another hook already", "");
        }
        let events = hook.on.as_deref().unwrap_or(&[written::HookEventConfig::Kill, written::HookEventConfig::Restore]);
        if events.is_empty() {
            at.key("on").fault("must list kill, restore or both", "write [kill]");
        }
        let deadline = values::duration(&at.key("deadline"), hook.deadline.as_ref(), HOOK_DEADLINE_MAX);
        Some(HookSettings {
            name,
            on_kill: events.contains(&written::HookEventConfig::Kill),
            on_restore: events.contains(&written::HookEventConfig::Restore),
            action: action(&at, hook)?,
            deadline: deadline.unwrap_or(HOOK_DEADLINE),
        })
    });
    hooks.collect()
}

fn action(at: &Cursor<'_>, hook: &written::HookConfig) -> Option<HookActionSettings> {
    match (&hook.webhook, &hook.command) {
        (Some(webhook), None) => self::webhook(&at.key("webhook"), webhook),
        (None, Some(command)) => match command.split_first() {
            Some((program, arguments)) if !program.is_empty() => {
                Some(HookActionSettings::Command { program: program.clone(), arguments: arguments.to_vec() })
            }
            Some(_) | None => {
                at.key("command").fault("names no program", "write [/usr/local/bin/close-tunnel, \"{vendor}\"]");
                None
            }
        },
        (Some(_), Some(_)) => {
            at.fault("must have a webhook or a command, not both", "make two hooks of it");
            None
        }
        (None, None) => {
            at.fault("must have a webhook or a command", "write command: [/usr/local/bin/close-tunnel, \"{vendor}\"]");
            None
        }
    }
}

fn webhook(at: &Cursor<'_>, written: &written::HookWebhookConfig) -> Option<HookActionSettings> {
    let (url, secret) = (written.url.as_ref()?, written.secret_file.as_ref()?);
    if let Err(error) = Url::parse_protected(url, false) {
        at.key("url").fault_without_line(error.to_string(), "write https://pager.example.com/vendorgate");
    }
    let make = |path: &std::path::Path| format!("write a random key to {}", path.display());
    let secret_at = at.key("secret_file");
    let secret = files::secret(&secret_at, secret, files::AllowedReaders::Group, make);
    if let Some(Err(wrong)) = files::content(&secret_at, &secret).map(|content| read_hook_secret(&content)) {
        files::unusable(&secret_at, &secret, wrong, "write a random key there");
    }
    Some(HookActionSettings::Webhook { url: url.clone(), secret })
}

/// Reads a hook's secret from the content of its file: the trimmed text, or the decoded base64 behind `whsec_`.
///
/// # Errors
/// What is wrong with the file, to be printed behind its path.
pub fn read_hook_secret(content: &[u8]) -> Result<Secret<Vec<u8>>, &'static str> {
    let text = std::str::from_utf8(content).map_err(|_| "is not text")?.trim();
    let bytes = match text.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| "has no base64 after whsec_")?,
        None => text.as_bytes().to_vec(),
    };
    if bytes.is_empty() { Err("is empty") } else { Ok(Secret::new(bytes)) }
}

//! `audit:` and `hooks:` of the main file as they are written in YAML.

use schemars::JsonSchema;
use serde::Deserialize;

use super::DurationText;
use super::contract::SizeText;
use crate::audit::OnAuditFailure;

/// How the audit trail is kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AuditConfig {
    /// The file that is written (default audit/audit.jsonl in the state folder).
    #[schemars(example = "/var/log/vendorgate/audit.jsonl")]
    pub(in crate::config) path: Option<String>,
    /// The key of its hash chain, made when there is none (default audit.key in the state folder).
    #[schemars(example = "keys/audit.key")]
    pub(in crate::config) key: Option<String>,
    /// Length at which a new file is begun (default 64MiB).
    pub(in crate::config) rotate: Option<SizeText>,
    /// What happens while it cannot be written (default keep_serving).
    pub(in crate::config) on_failure: Option<OnAuditFailure>,
}

/// A webhook or a command that is called at a kill or a restore.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HookConfig {
    /// Its name in the audit trail; events that wait for it keep the name across restarts.
    #[schemars(required, example = &"pager")]
    pub(in crate::config) name: Option<String>,
    /// The events that it is called for (default both).
    pub(in crate::config) on: Option<Vec<HookEventConfig>>,
    /// The event as JSON by POST, signed as Standard Webhooks has it.
    pub(in crate::config) webhook: Option<HookWebhookConfig>,
    /// A program and its arguments, with the event on its standard input; no shell reads them.
    #[schemars(extend("examples" = [["/usr/local/bin/close-tunnel", "{vendor}"]]))]
    pub(in crate::config) command: Option<Vec<String>>,
    /// How long one attempt may take (default 10s).
    pub(in crate::config) deadline: Option<DurationText>,
}

/// An event that a hook can be called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum HookEventConfig {
    /// A vendor, or a part of one, was cut off.
    Kill,
    /// It was let back.
    Restore,
}

/// Where a webhook goes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HookWebhookConfig {
    /// By https, or by http on this machine.
    #[schemars(required, example = "https://pager.example.com/vendorgate")]
    pub(in crate::config) url: Option<String>,
    /// The key of the signature: the file's text, or its base64 behind `whsec_`.
    #[schemars(required, example = "secrets/pager")]
    pub(in crate::config) secret_file: Option<String>,
}

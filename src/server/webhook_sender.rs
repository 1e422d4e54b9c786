//! The hooks of the config with their secrets, and the HTTP client that sends their webhooks.

use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::bounds::{HOOK_ANSWER_BYTES_MAX, HOOK_DEADLINE_MAX};
use crate::config::{self, HookActionSettings};
use crate::http::{ClientError, ClientOptions, HttpClient, Url};
use crate::kill::{HookChannel, KillHook, OutgoingWebhook, SendWebhook, WebhookSendError};
use crate::model::{Secret, with_causes};

/// Sends webhooks over the gateway's own HTTP client.
#[derive(Debug)]
pub(super) struct WebhookSender(HttpClient);

/// A hook's secret cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the secret of a hook in {path} cannot be read", path = path.display())]
pub struct HookError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl WebhookSender {
    pub(super) fn new() -> Result<Self, ClientError> {
        // Each hook has a deadline of its own, which is shorter.
        let deadline = HOOK_DEADLINE_MAX + Duration::from_secs(1);
        HttpClient::new(ClientOptions::new(deadline, HOOK_ANSWER_BYTES_MAX)).map(Self)
    }

    async fn send(&self, delivery: OutgoingWebhook) -> Result<u16, ClientError> {
        let url = Url::parse_protected(&delivery.url, false)?;
        let mut headers = HeaderMap::new();
        for (name, value) in delivery.headers {
            let value = HeaderValue::try_from(value).map_err(::http::Error::from)?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let answer = self.0.post(&url, headers, delivery.body.into()).await?;
        Ok(answer.status.as_u16())
    }
}

impl SendWebhook for WebhookSender {
    fn deliver(
        &self,
        delivery: OutgoingWebhook,
    ) -> Pin<Box<dyn Future<Output = Result<u16, WebhookSendError>> + Send + '_>> {
        Box::pin(async move { self.send(delivery).await.map_err(|error| WebhookSendError(with_causes(&error))) })
    }
}

/// The hooks of a config, with their secrets.
///
/// # Errors
/// [`HookError`] where a secret cannot be read.
pub(super) fn hooks(written: &[config::HookSettings]) -> Result<Vec<KillHook>, HookError> {
    written.iter().map(hook).collect()
}

fn hook(written: &config::HookSettings) -> Result<KillHook, HookError> {
    let action = match &written.action {
        HookActionSettings::Webhook { url, secret } => {
            HookChannel::Webhook { url: url.clone(), secret: read_secret(secret)? }
        }
        HookActionSettings::Command { program, arguments } => {
            HookChannel::Command { program: program.clone(), arguments: arguments.clone() }
        }
    };
    Ok(KillHook {
        name: written.name.clone(),
        on_kill: written.on_kill,
        on_restore: written.on_restore,
        channel: action,
        deadline: written.deadline,
    })
}

fn read_secret(path: &Path) -> Result<Secret<Vec<u8>>, HookError> {
    let failed = |source| HookError { path: path.to_owned(), source };
    let content = Zeroizing::new(fs::read(path).map_err(failed)?);
    config::read_hook_secret(&content)
        .map_err(|wrong| failed(io::Error::new(io::ErrorKind::InvalidData, format!("it {wrong}"))))
}

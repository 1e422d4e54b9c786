//! One signed POST for each event that a hook is notified of.

use std::future::Future;
use std::pin::Pin;

use super::sign::signature;
use crate::kill::event::KillEvent;
use crate::model::{Secret, UnixTime};

/// Sends a webhook. The gateway gives its own HTTP client; tests give a list.
pub trait SendWebhook: Send + Sync {
    /// Sends it and returns the answer's status. Follows no redirect and reads no body: what the other side says
    /// beyond its status is of no use here. The caller sets the deadline, by dropping the future.
    fn deliver(
        &self,
        delivery: OutgoingWebhook,
    ) -> Pin<Box<dyn Future<Output = Result<u16, WebhookSendError>> + Send + '_>>;
}

/// A webhook that is to be sent by POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingWebhook {
    /// The address that is posted to.
    pub url: String,
    /// Names in lower case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body, JSON.
    pub body: Vec<u8>,
}

/// Why a webhook had no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WebhookSendError(pub String);

pub(super) async fn send(
    deliver: &dyn SendWebhook,
    url: &str,
    secret: &Secret<Vec<u8>>,
    hook: &str,
    event: &KillEvent,
    now: UnixTime,
) -> Result<String, String> {
    let body = serde_json::to_vec(event).map_err(|error| error.to_string())?;
    // The id is the same for each attempt, so that a receiver recognises a second delivery.
    let id = format!("{}-{hook}", event.generation);
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", "vendorgate".to_owned()),
        ("webhook-signature", signature(secret, &id, now, &body)),
        ("webhook-timestamp", now.as_secs().to_string()),
        ("webhook-id", id),
    ];
    match deliver.deliver(OutgoingWebhook { url: url.to_owned(), headers, body }).await {
        Ok(status @ 200..300) => Ok(format!("answered {status}")),
        Ok(status) => Err(format!("answered {status}")),
        Err(error) => Err(error.to_string()),
    }
}

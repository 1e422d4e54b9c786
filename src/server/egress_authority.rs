//! The authority of interception while the gateway runs: opened at start and at a reload, and read again when its files
//! are replaced.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::control::GatewayControl;
use super::maintenance::{every, wait};
use crate::bounds::FILE_POLL;
use crate::config::GatewaySettings;
use crate::interception::{InterceptionError, Interceptor};

/// The interceptor of a config. One that is in force and reads the same files stays, with the certificates that it has
/// made, after it has read its files again.
///
/// # Errors
/// [`InterceptionError`] when the authority cannot be used.
pub(super) fn open(
    config: &GatewaySettings,
    in_force: Option<Arc<Interceptor>>,
) -> Result<Option<Arc<Interceptor>>, InterceptionError> {
    let Some(files) = &config.egress.interception else { return Ok(None) };
    let http2 = config.listeners.egress.as_ref().is_some_and(|listener| listener.http2);
    match in_force.filter(|interceptor| interceptor.is_made_of(files, http2)) {
        Some(same) => {
            same.reload_if_changed();
            Ok(Some(same))
        }
        None => Interceptor::open(files, http2).map(|opened| Some(Arc::new(opened))),
    }
}

/// Reads the files again until the gateway closes.
pub(super) async fn watch(control: Arc<GatewayControl>, mut closing: watch::Receiver<bool>) {
    let mut tick = every(FILE_POLL.max(Duration::from_secs(1)));
    while wait(&mut tick, &mut closing).await {
        if let Some(interceptor) = control.gateway.interception.load_full() {
            // An error here means that the program ends.
            let _ = tokio::task::spawn_blocking(move || interceptor.reload_if_changed()).await;
        }
    }
}

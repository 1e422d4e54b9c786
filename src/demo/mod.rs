//! The whole product on one machine: a company, a vendor and the gateway between them play a short story.
//!
//! Everything is real: the gateway is the one that `run` starts, with ordinary files, and every step goes over sockets.
//! Listens on loopback only, and leaves no file behind.

mod client;
mod countries;
mod crm;
mod diff;
mod folder;
mod issuer;
mod page;
mod partner;
mod people;
mod site;
mod stage;
mod story;

use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;

use self::page::DemoPage;
use self::stage::DemoStage;
use crate::config::ConfigFaults;
use crate::model::Clock;
use crate::pii::keys::KeyError;
use crate::server::StartError;

/// Why the demo cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file or folder cannot be made.
    #[error("{path} cannot be made", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the cause was.
        #[source]
        source: io::Error,
    },
    /// The machine has no random bytes.
    #[error("the machine gives no random bytes")]
    Random,
    /// The master key cannot be made.
    #[error("the master key cannot be made")]
    Key(#[source] KeyError),
    /// The demo's own config has faults, which a test excludes.
    #[error("the demo's config has faults")]
    Config(#[source] ConfigFaults),
    /// A listener or contract of the demo's own config is not there, which a test excludes.
    #[error("the demo's config lacks a listener or a contract")]
    Listener,
    /// The gateway does not start.
    #[error("the gateway cannot start")]
    Start(#[source] StartError),
    /// A socket, a thread or the output failed.
    #[error("the machine does not play along")]
    Machine(#[from] io::Error),
}

/// How to play.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Ends after the story, instead of waiting for `stop`.
    pub once: bool,
    /// Whether the output is a terminal that wants colour.
    pub colour: bool,
    /// How this program was called, for lines to copy.
    pub program: String,
}

/// Plays the demo until its end, or until `stop`. Returns whether every check held.
///
/// Needs a current-thread runtime, because the gateway's control plane runs on it.
///
/// # Errors
/// [`DemoError`] when it cannot be played at all.
pub async fn play(
    options: DemoOptions,
    out: &mut dyn Write,
    stop: impl Future<Output = ()>,
) -> Result<bool, DemoError> {
    let clock = Clock::system();
    let since = clock.now();
    let stage = DemoStage::start().await?;
    let mut page = DemoPage::new(out, options.colour);
    let story = async {
        story::play(&stage, &mut page).await;
        let took = clock.now().monotonic_ns.saturating_sub(since.monotonic_ns);
        let as_told = page.finish(std::time::Duration::from_nanos(took));
        if !options.once {
            story::invite(&stage, &mut page, &options.program).await;
            std::future::pending::<()>().await;
        }
        as_told
    };
    let as_told = tokio::select! {
        as_told = story => as_told,
        // Ending the demo early is not a failure, unless a script runs it with `--once`.
        () = stop => !options.once,
    };
    stage.stop().await;
    page.written()?;
    Ok(as_told)
}

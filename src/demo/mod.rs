//! The whole product on one machine: a company, a vendor and the gateway between them play a short story.
//!
//! Everything is real: the gateway is the one that `run` starts, with ordinary files, and every step goes over sockets.
//! Listens on loopback only, and leaves no file behind.

mod client;
mod crm;
mod diff;
mod folder;
mod issuer;
mod page;
mod partner;
mod people;
mod services;
mod stage;
mod story;
mod tunnel;

use std::error::Error;
use std::future::Future;
use std::io::{self, Write};

use self::page::DemoPage;
use self::stage::DemoStage;
use self::story::Story;
use crate::model::{Clock, hex};

/// Why the demo cannot be played.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct DemoError {
    what: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl DemoError {
    fn new(what: &str) -> Self {
        Self { what: what.to_owned(), source: None }
    }

    fn because<E: Error + Send + Sync + 'static>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |source| Self { what: what.into(), source: Some(Box::new(source)) }
    }
}

impl From<io::Error> for DemoError {
    fn from(error: io::Error) -> Self {
        Self::because("the machine does not play along")(error)
    }
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
        let mut story = Story { stage: &stage, page: &mut page };
        story.play().await;
        let took = clock.now().monotonic_ns.saturating_sub(since.monotonic_ns);
        let as_told = story.page.finish(std::time::Duration::from_nanos(took));
        if !options.once {
            story.invite(&options.program).await;
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

/// Sixteen random bytes in hexadecimal.
fn random_hex() -> Result<String, DemoError> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| DemoError::new("the machine gives no random bytes"))?;
    Ok(hex(&bytes))
}

//! A hook that runs a local program: to close a tunnel, to page someone.
//!
//! No shell reads the arguments, and the environment is `PATH` alone, so that no secret of the gateway's goes along.
//! A program past its deadline is killed; what it has started itself is its own affair.

use std::process::{ExitStatus, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::kill::event::KillEvent;

pub(super) async fn run(program: &str, arguments: &[String], event: &KillEvent) -> Result<String, String> {
    let input = serde_json::to_vec(event).map_err(|error| error.to_string())?;
    let mut child = Command::new(program)
        .args(arguments.iter().map(|argument| fill(argument, event)))
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input is not wrong.
        let _ = stdin.write_all(&input).await;
    }
    let status = child.wait().await.map_err(|error| error.to_string())?;
    verdict(status)
}

fn verdict(status: ExitStatus) -> Result<String, String> {
    if status.success() { Ok("done".to_owned()) } else { Err(status.to_string()) }
}

/// Values are a vendor's id or `*`, one of two words and a number, so nothing can be smuggled in by them.
fn fill(argument: &str, event: &KillEvent) -> String {
    argument
        .replace("{vendor}", &event.vendor)
        .replace("{act}", event.act.as_str())
        .replace("{generation}", &event.generation.to_string())
}

//! Runs a command to its end: passes signals on, and returns its exit code.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::client::block_on;
use super::error::{CliError, Exit};

/// Runs a command with these variables beside those of this process.
///
/// # Errors
/// [`CliError::Command`] when it cannot be run.
pub(super) fn run_child(command: &[OsString], variables: &[(&'static str, String)]) -> Result<Exit, CliError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(CliError::invalid_argument("CMD", "is missing"));
    };
    block_on(async {
        // Before the command begins, so that no signal is lost between.
        let signals = ForwardedSignals::listen()?;
        let mut started = Command::new(program);
        started.args(arguments).envs(variables.iter().map(|(name, value)| (*name, value)));
        let program = || program.to_string_lossy().into_owned();
        let child = started.spawn().map_err(|source| CliError::Command { program: program(), source })?;
        Ok(Exit::Code(exit_code(signals.wait(child).await?)))
    })
}

/// The signals that are passed on. Those that a terminal sends to all its processes reach the command without us, so
/// they only must not end this process before it.
struct ForwardedSignals {
    signals: [(tokio::signal::unix::Signal, Signal, bool); 6],
}

impl ForwardedSignals {
    fn listen() -> io::Result<Self> {
        let from_terminal = io::stdin().is_terminal();
        let on = |kind, number, passed| Ok::<_, io::Error>((signal(kind)?, number, passed));
        Ok(Self {
            signals: [
                on(SignalKind::terminate(), Signal::TERM, true)?,
                on(SignalKind::hangup(), Signal::HUP, true)?,
                on(SignalKind::user_defined1(), Signal::USR1, true)?,
                on(SignalKind::user_defined2(), Signal::USR2, true)?,
                on(SignalKind::interrupt(), Signal::INT, !from_terminal)?,
                on(SignalKind::quit(), Signal::QUIT, !from_terminal)?,
            ],
        })
    }

    /// Waits for the end of the command.
    async fn wait(self, mut child: Child) -> io::Result<ExitStatus> {
        let process = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let mut signals = self.signals;
        loop {
            let arrived = std::future::poll_fn(|cx| {
                let ready = signals
                    .iter_mut()
                    .find_map(|(stream, number, passed)| stream.poll_recv(cx).is_ready().then_some((*number, *passed)));
                ready.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
            });
            tokio::select! {
                status = child.wait() => return status,
                (number, passed) = arrived => {
                    if let Some(process) = process.filter(|_| passed) {
                        // It fails only where the command has just ended, which the next round sees.
                        let _ = kill_process(process, number);
                    }
                }
            }
        }
    }
}

/// The code of a command, or 128 and the number of the signal that ended it, as shells have it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

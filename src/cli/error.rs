//! How a verb ends: its exit code, and the text that a person reads when it failed.
//!
//! The only place that knows exit codes: 0 yes, 1 no, 2 unusable arguments or config.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use super::operators::OperatorsError;
use crate::admin::Problem;
use crate::config::ConfigFaults;
use crate::demo::DemoError;
use crate::http::ClientError;
use crate::interception::InterceptionError;
use crate::pii::keys::KeyError;
use crate::pii::{PlanError, RewriteError};
use crate::server::StartError;
use crate::telemetry::log::LogError;

/// The result of a verb that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// The verb did what was asked, or the answer is yes: 0.
    Yes,
    /// The answer is no: 1.
    No,
    /// A command that was run has ended: its own code.
    Code(u8),
}

impl Exit {
    /// `Yes` for true.
    pub(super) const fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Yes => Self::SUCCESS,
            Exit::No => Self::from(1),
            Exit::Code(code) => Self::from(code),
        }
    }
}

/// Why a verb could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// An argument or variable cannot be used.
    #[error("{what} cannot be used: {why}")]
    InvalidArgument {
        /// The argument or variable.
        what: &'static str,
        /// What to write instead.
        why: String,
    },
    /// Nothing answers at the address.
    #[error("cannot reach the gateway at {address}")]
    Unreachable {
        /// The address.
        address: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The gateway was reached, but sent no whole answer in time.
    #[error("the gateway at {address} gave no answer")]
    NoResponse {
        /// The address.
        address: String,
        /// Why there is no answer.
        #[source]
        source: ClientError,
    },
    /// Something answers that is not an admin listener of this version.
    #[error("the answer of {address} is not one of an admin listener that this program knows (status {status})")]
    UnexpectedResponse {
        /// The address.
        address: String,
        /// The status of the answer.
        status: u16,
    },
    /// The gateway refused.
    #[error("{}: {}", .0.title, .0.detail)]
    Refused(Box<Problem>),
    /// The output cannot be written, or the runtime cannot be made.
    #[error("cannot go on")]
    Io(#[from] io::Error),
    /// The config cannot be used; its faults are printed with their lines.
    #[error("the config cannot be used")]
    Config(#[source] ConfigFaults),
    /// The log cannot be started.
    #[error("the log cannot be started")]
    Log(#[source] LogError),
    /// The gateway cannot be started.
    #[error("the gateway cannot start")]
    Start(#[source] StartError),
    /// The demo cannot be played.
    #[error("the demo cannot be played")]
    Demo(#[source] DemoError),
    /// Key material cannot be made or read.
    #[error("{path}: the key file cannot be used", path = path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What the cause was.
        #[source]
        source: KeyError,
    },
    /// An order cannot be written into a state folder.
    #[error("{path}: the order cannot be left here", path = path.display())]
    OfflineOrder {
        /// The state folder.
        path: PathBuf,
        /// What the cause was.
        #[source]
        source: io::Error,
    },
    /// The body could not be treated.
    #[error("the body was refused")]
    Body(#[source] RewriteError),
    /// The rules of a contract cannot be compiled.
    #[error("the rules cannot be compiled")]
    Plan(#[source] PlanError),
    /// An authority of interception cannot be made or used.
    #[error("the authority cannot be used")]
    Interception(#[from] InterceptionError),
    /// A command cannot be run.
    #[error("cannot run {program}")]
    Command {
        /// The program, as it was given.
        program: String,
        /// Why it cannot be run.
        #[source]
        source: io::Error,
    },
    /// The operators' file cannot be changed.
    #[error(transparent)]
    Operators(#[from] OperatorsError),
}

impl CliError {
    /// An argument that cannot be used, and what to write instead.
    pub(super) fn invalid_argument(what: &'static str, why: impl ToString) -> Self {
        Self::InvalidArgument { what, why: why.to_string() }
    }

    /// The exit code: 2 for unusable arguments, files and config, else 1.
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Io(_) if self.is_closed_pipe() => 0,
            Self::Unreachable { .. } | Self::NoResponse { .. } | Self::UnexpectedResponse { .. } | Self::Refused(_) => {
                1
            }
            Self::Io(_) | Self::Start(_) | Self::Demo(_) | Self::Body(_) | Self::OfflineOrder { .. } => 1,
            Self::InvalidArgument { .. } | Self::Config(_) | Self::Log(_) => 2,
            Self::Keys { .. } | Self::Plan(_) | Self::Operators(_) | Self::Interception(_) => 2,
            // As a shell has it.
            Self::Command { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Command { .. } => 126,
        })
    }

    /// Whether the reader of the output has closed it, as `head` does: not an error.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The text for standard error: what failed, why, and what to do.
    pub(super) fn report(&self) -> String {
        if let Self::Config(faults) = self {
            return faults.with_snippets();
        }
        let mut text = format!("error: {}\n", crate::model::with_causes(self));
        for advice in self.advice() {
            text.push_str(&format!("  {advice}\n"));
        }
        text
    }

    fn advice(&self) -> Vec<String> {
        match self {
            Self::Unreachable { source, address } => unreachable_advice(source.kind(), address),
            Self::NoResponse { .. } => vec!["is the gateway busy, or the address that of another program?".into()],
            Self::UnexpectedResponse { .. } => {
                vec!["name the admin listener, not a data port: --admin URL or VENDORGATE_ADMIN".into()]
            }
            Self::Refused(problem) => {
                let faults = problem.faults.iter().cloned();
                faults.chain([format!("request {}: the audit trail has more", problem.request_id)]).collect()
            }
            Self::InvalidArgument { .. } | Self::Io(_) | Self::Config(_) | Self::Log(_) | Self::Start(_) => Vec::new(),
            Self::OfflineOrder { .. } => {
                vec!["--state names the folder that state.path in the gateway's config names".into()]
            }
            Self::Interception(InterceptionError::Exists { .. }) => {
                vec!["--force replaces both files; every service must then be given the new certificate".into()]
            }
            Self::Interception(_) | Self::Command { .. } => Vec::new(),
            Self::Demo(_) | Self::Keys { .. } | Self::Body(_) | Self::Plan(_) | Self::Operators(_) => Vec::new(),
        }
    }
}

fn unreachable_advice(kind: io::ErrorKind, address: &str) -> Vec<String> {
    if kind == io::ErrorKind::PermissionDenied {
        return vec![
            "only the user whom the gateway runs as may open its socket: become that user,".into(),
            "or set VENDORGATE_TOKEN to an operator's token and name the listener: --admin http://HOST:PORT".into(),
        ];
    }
    if kind == io::ErrorKind::InvalidData {
        return vec![
            "its certificate must name that host and come from an authority that this machine knows;".into(),
            "SSL_CERT_FILE names a file of others".into(),
        ];
    }
    vec![
        "is it running?         vendorgate run --config FILE".into(),
        format!("does it listen there?  listeners.admin.bind in its config is to match {address}"),
        "somewhere else?        --admin URL or VENDORGATE_ADMIN, such as http://127.0.0.1:9901".into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_gateway_is_reported_with_its_cause_and_advice() {
        let refused = CliError::Unreachable {
            address: "http://127.0.0.1:9901".into(),
            source: io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused"),
        };
        let report = refused.report();
        let first = "error: cannot reach the gateway at http://127.0.0.1:9901: connection refused\n";
        assert!(report.starts_with(first), "{report}");
        assert!(report.contains("vendorgate run --config FILE") && report.contains("VENDORGATE_ADMIN"), "{report}");
    }
}

//! How a verb ends: what the shell is told, and what a person reads when it did not go well.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use crate::admin::Problem;

/// How a verb that ran has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked, or the answer is yes: 0.
    Yes,
    /// The answer is no: 1.
    No,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Yes => Self::SUCCESS,
            Exit::No => Self::from(1),
        }
    }
}

/// Why a verb could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// An argument or variable cannot be used.
    #[error("{what} cannot be used: {why}")]
    Unusable {
        /// The argument or variable.
        what: &'static str,
        /// What to write instead.
        why: String,
    },
    /// Nobody answers at that address.
    #[error("cannot reach the gateway at {address}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The gateway was reached and did not answer in time, or broke off.
    #[error("the gateway at {address} gave no answer")]
    Silent {
        /// Where it was asked.
        address: String,
        /// What went wrong on the way.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// What answered is no admin listener of a gateway of this version.
    #[error("what answers at {address} is no admin listener that this program understands (status {status})")]
    Strange {
        /// Where it was asked.
        address: String,
        /// Its status.
        status: u16,
    },
    /// The gateway said no.
    #[error("{}: {}", .0.title, .0.detail)]
    Refused(Box<Problem>),
    /// The answer could not be printed, or the machine gave no runtime.
    #[error("cannot go on")]
    Local(#[from] io::Error),
}

impl CliError {
    /// What the shell is told: 2 for unusable arguments, else 1.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Unusable { .. } => 2,
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Strange { .. } => 1,
            Self::Refused(_) | Self::Local(_) => 1,
        })
    }

    /// The whole story for standard error: what went wrong, from what, and what to do.
    pub fn report(&self) -> String {
        let mut text = format!("error: {}", crate::model::with_causes(self));
        for advice in self.advice() {
            text.push_str(&format!("\n  {advice}"));
        }
        text
    }

    fn advice(&self) -> Vec<String> {
        match self {
            Self::Unreachable { source, address } => unreachable_advice(source.kind(), address),
            Self::Silent { .. } => vec!["is the gateway busy, or the address that of another program?".into()],
            Self::Strange { .. } => {
                vec!["name the admin listener, not a data port: --admin URL or VENDORGATE_ADMIN".into()]
            }
            Self::Refused(problem) => {
                let faults = problem.faults.iter().cloned();
                faults.chain([format!("request {}: the audit trail has more", problem.request_id)]).collect()
            }
            Self::Unusable { .. } | Self::Local(_) => Vec::new(),
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
    fn an_unreachable_gateway_is_told_with_its_cause_and_what_to_check() {
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

//! The command line: one file a verb.
//!
//! A verb parses its arguments into a struct, does its work in `run`, and says yes, no, or what kept it from saying either.
//! Only [`main`] turns that into an exit code: 0 yes, 1 no, 2 unusable arguments or config. A verb stands in `Verb` when
//! it works, and not before.

pub mod audit;
mod check;
pub mod client;
mod demo;
pub mod drill;
pub mod error;
mod explain;
pub mod exposure;
pub mod health;
mod keys;
pub mod kill;
mod layout;
mod operators;
mod pii;
pub mod restore;
pub mod reveal;
pub mod revoke;
mod run;
mod scheduled;
mod schema;
pub mod status;
mod tls;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::error::{CliError, Exit};
use crate::config::{Faults, Loader, Severity};
use crate::demo::DemoError;
use crate::pii::keys::KeyError;
use crate::pii::{PlanError, Stop};
use crate::server::StartError;
use crate::telemetry::log::LogError;

/// The gateway between a company and its vendors.
#[derive(Debug, Parser)]
#[command(name = "vendorgate", version, max_term_width = 100, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Run),
    Demo(demo::Demo),
    Check(check::Check),
    Explain(explain::Explain),
    #[command(subcommand)]
    Pii(pii::Pii),
    Kill(kill::Args),
    Restore(restore::Args),
    Drill(drill::Args),
    Revoke(revoke::Args),
    Reveal(reveal::Args),
    Status(status::Args),
    Exposure(exposure::Args),
    #[command(subcommand)]
    Audit(audit::Audit),
    Health(health::Args),
    #[command(subcommand)]
    Keys(keys::Keys),
    Operators(operators::Operators),
    Schema(schema::Schema),
}

impl Verb {
    fn run(&self, out: &mut dyn Write) -> Result<Answer, Trouble> {
        match self {
            Self::Run(run) => run.run(out),
            Self::Demo(demo) => demo.run(out),
            Self::Check(check) => check.run(out),
            Self::Explain(explain) => explain.run(out),
            Self::Pii(pii) => pii.run(out),
            Self::Kill(args) => remote(kill::run(args, out)),
            Self::Restore(args) => remote(restore::run(args, out)),
            Self::Drill(args) => remote(drill::run(args, out)),
            Self::Reveal(args) => remote(reveal::run(args, out)),
            Self::Revoke(args) => remote(revoke::run(args, out)),
            Self::Status(args) => remote(status::run(args, out)),
            Self::Exposure(args) => remote(exposure::run(args, out)),
            Self::Audit(audit) => remote(audit::run(audit, out)),
            Self::Health(args) => remote(health::run(args, out)),
            Self::Keys(keys) => keys.run(out),
            Self::Operators(operators) => operators.run(out),
            Self::Schema(schema) => schema.run(out),
        }
    }
}

/// What a running gateway answered.
fn remote(outcome: Result<Exit, CliError>) -> Result<Answer, Trouble> {
    match outcome {
        Ok(Exit::Yes) => Ok(Answer::Yes),
        Ok(Exit::No) => Ok(Answer::No),
        Err(error) => Err(Trouble::Client(error)),
    }
}

/// What a verb was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It is so, or it is done.
    Yes,
    /// It is not so: a check failed, a vendor was not found.
    No,
}

/// What keeps a verb from answering.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// The config cannot be used; printed with its lines.
    #[error("the config cannot be used")]
    Config(#[source] Faults),
    /// What is said cannot be written out.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// The log cannot be started.
    #[error("the log cannot be started")]
    Log(#[source] LogError),
    /// The gateway cannot be started.
    #[error("the gateway cannot start")]
    Start(#[source] StartError),
    /// The demo cannot be played.
    #[error("the demo cannot be played")]
    Demo(#[source] DemoError),
    /// A running gateway was not reached, or said no.
    #[error(transparent)]
    Client(CliError),
    /// Key material cannot be made or read.
    #[error("{path}: the key file cannot be used", path = path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The body could not be treated.
    #[error("the body was refused")]
    Refused(#[source] Stop),
    /// The rules of a contract cannot be compiled.
    #[error("the rules cannot be compiled")]
    Plan(#[source] PlanError),
    /// An argument names nothing.
    #[error("{0}")]
    Argument(String),
    /// The operators' file cannot be changed.
    #[error(transparent)]
    Operators(#[from] operators::OperatorsError),
}

/// The argument that names the main file.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The main file
    #[arg(
        id = "config",
        long = "config",
        value_name = "FILE",
        env = "VENDORGATE_CONFIG",
        default_value = "config/vendorgate.yaml"
    )]
    path: PathBuf,
}

/// Runs the program with these arguments, the program's own name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Help and version are asked for; everything else is a mistake. Nothing is left to say if this fails.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    // Not locked: the exchange log of `run` writes there from a thread of its own.
    let mut out = io::stdout();
    let answer = line.verb.run(&mut out).and_then(|answer| Ok(out.flush().map(|()| answer)?));
    exit_code(&answer)
}

/// The one place where an answer becomes an exit code, and trouble is told.
fn exit_code(answer: &Result<Answer, Trouble>) -> ExitCode {
    match answer {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        // Whoever closes the pipe has read enough.
        Err(Trouble::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Trouble::Client(error)) => {
            eprintln!("{}", error.report());
            error.exit_code()
        }
        Err(trouble @ (Trouble::Refused(_) | Trouble::Start(_) | Trouble::Demo(_))) => {
            eprint!("{}", told(trouble));
            ExitCode::from(1)
        }
        Err(trouble) => {
            eprint!("{}", told(trouble));
            ExitCode::from(2)
        }
    }
}

/// The whole chain of causes; faults with their lines.
fn told(trouble: &Trouble) -> String {
    if let Trouble::Config(faults) = trouble {
        return faults.with_snippets();
    }
    format!("vendorgate: {}\n", crate::model::with_causes(trouble))
}

/// How the program itself reads a config: with its own environment.
fn loader(missing_secrets: Severity) -> Loader<'static> {
    Loader { environment: &|name| std::env::var(name).ok(), missing_secrets }
}

#[cfg(test)]
#[path = "tests.rs"]
mod remote_tests;
#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_verb_explains_itself_with_an_example() {
        let command = CommandLine::command();
        command.clone().debug_assert();
        let mut open: Vec<&clap::Command> = command.get_subcommands().collect();
        while let Some(verb) = open.pop() {
            open.extend(verb.get_subcommands());
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("vendorgate "), "{} shows no example", verb.get_name());
        }
    }

    #[test]
    fn unusable_arguments_are_no_answer() {
        let run = |arguments: &[&str]| main(arguments.iter().map(OsString::from));
        assert_eq!(run(&["vendorgate", "--help"]), ExitCode::SUCCESS);
        assert_eq!(run(&["vendorgate", "fly"]), ExitCode::from(2));
        assert_eq!(run(&["vendorgate"]), ExitCode::from(2));
    }

    #[test]
    fn trouble_prints_its_causes() {
        let trouble = Trouble::Output(io::Error::other("disk full"));
        assert_eq!(told(&trouble), "vendorgate: cannot write the output: disk full\n");
        assert_eq!(exit_code(&Ok(Answer::No)), ExitCode::from(1));
        assert_eq!(exit_code(&Err(trouble)), ExitCode::from(2));
        assert_eq!(exit_code(&Err(Trouble::Output(io::ErrorKind::BrokenPipe.into()))), ExitCode::SUCCESS);
    }
}

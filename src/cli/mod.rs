//! The command line: one file for each verb.
//!
//! A verb parses its arguments into a struct and does its work in `run`, or in `execute` where it talks to a running
//! gateway. It returns yes, no or an error; `error.rs` turns that into an exit code.

mod audit;
mod ca;
mod categories;
mod check;
mod client;
mod contract;
mod contract_check;
mod contract_import;
mod demo;
mod drill;
mod egress;
mod egress_environment;
mod error;
mod explain;
mod exposure;
mod fleet;
mod health;
mod keys;
mod kill;
mod layout;
mod manual;
mod operators;
mod pii;
mod restore;
mod reveal;
mod revoke;
mod run;
mod scheduled;
mod schema;
mod service_manager;
mod shadow;
mod status;
mod suggest;
mod supervise;
mod upstream_tables;
mod version;
mod why;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::audit::AuditCommand;
use self::client::with_gateway;
use self::contract::ContractCommand;
use self::error::{CliError, Exit};
use self::layout::PrintableWriter;
use crate::config::{ConfigLoader, FaultSeverity};
use crate::model::{Clock, escape_unprintable};

/// The gateway between a company and its vendors.
#[derive(Debug, Parser)]
#[command(name = "vendorgate", version, long_version = version::in_full(), max_term_width = 100, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    Run(run::RunArgs),
    Demo(demo::DemoArgs),
    Check(check::CheckArgs),
    Explain(explain::ExplainArgs),
    #[command(subcommand)]
    Contract(ContractCommand),
    #[command(subcommand)]
    Pii(pii::PiiCommand),
    Kill(kill::KillArgs),
    Restore(restore::RestoreArgs),
    Drill(drill::DrillArgs),
    Revoke(revoke::RevokeArgs),
    Reveal(reveal::RevealArgs),
    Status(status::StatusArgs),
    Why(why::WhyArgs),
    Exposure(exposure::ExposureArgs),
    #[command(subcommand)]
    Audit(AuditCommand),
    Health(health::HealthArgs),
    #[command(subcommand)]
    Ca(ca::CaCommand),
    #[command(subcommand)]
    Egress(egress::EgressCommand),
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    Operators(operators::OperatorsArgs),
    Schema(schema::SchemaArgs),
    Completions(manual::CompletionsArgs),
    Manual(manual::ManualArgs),
}

impl CliCommand {
    /// Whether the verb prints bodies as they are, or colours. The output of every other verb is escaped, since it can
    /// hold names that a stranger chose.
    const fn prints_raw(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Demo(_) | Self::Pii(_) | Self::Egress(_))
    }

    fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        match self {
            Self::Run(run) => run.run(),
            Self::Demo(demo) => demo.run(out),
            Self::Check(check) => check.run(out),
            Self::Explain(explain) => explain.run(out),
            Self::Contract(ContractCommand::Diff(diff)) => diff.run(out),
            Self::Contract(ContractCommand::Import(import)) => import.run(out),
            Self::Contract(ContractCommand::Check(check)) => check.run(out),
            Self::Contract(ContractCommand::Export(export)) => export.run(out),
            Self::Contract(ContractCommand::Suggest(args)) => {
                with_gateway(&args.connection, out, async |call| suggest::execute(args, call).await)
            }
            Self::Pii(pii) => pii.run(out),
            Self::Kill(args) if args.offline => kill::leave_offline_order(args, out),
            Self::Kill(args) => with_gateway(&args.connection, out, async |call| kill::execute(args, call).await),
            Self::Restore(args) => with_gateway(&args.connection, out, async |call| restore::execute(args, call).await),
            Self::Drill(args) => with_gateway(&args.connection, out, async |call| drill::execute(args, call).await),
            Self::Reveal(args) => with_gateway(&args.connection, out, async |call| reveal::execute(args, call).await),
            Self::Revoke(args) => with_gateway(&args.connection, out, async |call| revoke::execute(args, call).await),
            Self::Status(args) => with_gateway(&args.connection, out, async |call| status::execute(args, call).await),
            Self::Why(args) => with_gateway(&args.connection, out, async |call| why::execute(args, call).await),
            Self::Exposure(args) => {
                with_gateway(&args.connection, out, async |call| exposure::execute(args, call).await)
            }
            Self::Audit(AuditCommand::Verify(args)) => audit::verify(args, out),
            Self::Audit(AuditCommand::Tail(args)) => {
                with_gateway(&args.connection, out, async |call| audit::execute(args, call).await)
            }
            Self::Ca(ca) => ca.run(out),
            Self::Egress(egress) => egress.run(out),
            Self::Health(args) => with_gateway(&args.connection, out, async |call| health::execute(args, call).await),
            Self::Keys(keys) => keys.run(out),
            Self::Operators(operators) => operators.run(out),
            Self::Schema(schema) => schema.run(out),
            Self::Completions(completions) => completions.run(out),
            Self::Manual(manual) => manual.run(),
        }
    }
}

/// The argument that names the main file of the config.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The main file of the config
    #[arg(
        id = "config",
        long = "config",
        value_name = "FILE",
        env = "VENDORGATE_CONFIG",
        default_value = "config/vendorgate.yaml"
    )]
    path: PathBuf,
}

/// Runs the program. The first argument is the program's own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Help and version are not errors. If they cannot be printed, nothing else can be either.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    // Not locked, because the exchange log of `run` writes to standard output from its own thread.
    let mut out = io::stdout();
    let ended = if line.command.prints_raw() {
        line.command.run(&mut out)
    } else {
        line.command.run(&mut PrintableWriter(&mut out))
    };
    exit_code(ended.and_then(|exit| Ok(out.flush().map(|()| exit)?)))
}

/// Prints an error, and returns the exit code.
fn exit_code(outcome: Result<Exit, CliError>) -> ExitCode {
    outcome.map_or_else(
        |error| {
            if !error.is_closed_pipe() {
                eprint!("{}", escape_unprintable(&error.report()));
            }
            error.exit_code()
        },
        ExitCode::from,
    )
}

/// The loader of the config, with this process's environment.
fn loader(missing_secrets: FaultSeverity) -> ConfigLoader<'static> {
    ConfigLoader { environment: &|name| std::env::var(name).ok(), missing_secrets, now: Clock::system().now().wall }
}

#[cfg(test)]
#[path = "tests.rs"]
mod remote_tests;
#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The arguments of a call, split as a shell does, up to the first symbol that only a shell understands.
    fn words(call: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for symbol in call.chars() {
            match symbol {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                '|' | '<' | '>' | '#' | '&' if !quoted => break,
                _ => words.last_mut().expect("one").push(symbol),
            }
        }
        words.retain(|word| !word.is_empty());
        let named = |word: String| match word.as_str() {
            "VENDOR" => "acme".to_owned(),
            "REQUEST_ID" => "0af7651916cd43dd8448eb211c80319c".to_owned(),
            _ => word,
        };
        words.into_iter().map(named).collect()
    }

    /// The calls of the program in a page: on lines of their own, and between backquotes.
    fn calls(page: &str) -> impl Iterator<Item = &str> {
        let lines = page.lines().map(str::trim);
        lines.flat_map(|line| line.split('`')).filter(|text| text.starts_with("vendorgate "))
    }

    #[test]
    fn every_verb_has_help_with_examples_that_parse() {
        let command = CommandLine::command();
        command.clone().debug_assert();
        let pages = [include_str!("../../README.md"), include_str!("../../docs/operations.md")];
        let mut shown: Vec<String> = pages.into_iter().flat_map(calls).map(str::to_owned).collect();
        assert!(shown.len() > 10, "{shown:?}");
        let mut open: Vec<&clap::Command> = command.get_subcommands().collect();
        while let Some(verb) = open.pop() {
            open.extend(verb.get_subcommands());
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(calls(&help).next().is_some(), "{} shows no example", verb.get_name());
            shown.extend(calls(&help).map(str::to_owned));
        }
        for call in shown {
            assert_eq!(CommandLine::try_parse_from(words(&call)).err().map(|error| error.to_string()), None, "{call}");
        }
    }

    #[test]
    fn unusable_arguments_exit_with_2() {
        let run = |arguments: &[&str]| main(arguments.iter().map(OsString::from));
        assert_eq!(run(&["vendorgate", "--help"]), ExitCode::SUCCESS);
        assert_eq!(run(&["vendorgate", "fly"]), ExitCode::from(2));
        assert_eq!(run(&["vendorgate"]), ExitCode::from(2));
    }

    #[test]
    fn a_closed_pipe_is_not_an_error() {
        assert_eq!(exit_code(Ok(Exit::No)), ExitCode::from(1));
        assert_eq!(exit_code(Err(CliError::Io(io::Error::other("disk full")))), ExitCode::from(1));
        assert_eq!(exit_code(Err(CliError::Io(io::ErrorKind::BrokenPipe.into()))), ExitCode::SUCCESS);
    }
}

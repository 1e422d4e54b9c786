//! `vendorgate manual` and `vendorgate completions`: what packages install beside the binary, made of the verbs
//! themselves.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::CommandLine;
use super::error::{CliError, Exit};

/// Write the manual pages, one for each verb
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vendorgate manual --out man && man ./man/vendorgate-kill.1")]
pub(super) struct ManualArgs {
    /// The folder of the pages; it is made where there is none
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl ManualArgs {
    pub(super) fn run(&self) -> Result<Exit, CliError> {
        DirBuilder::new().recursive(true).mode(0o755).create(&self.out)?;
        clap_mangen::generate_to(CommandLine::command().disable_help_subcommand(true), &self.out)?;
        Ok(Exit::Yes)
    }
}

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate completions bash > ~/.local/share/bash-completion/completions/vendorgate"
)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        // Made in memory first: the generator panics where its output cannot be written.
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut CommandLine::command(), "vendorgate", &mut text);
        out.write_all(&text)?;
        Ok(Exit::Yes)
    }
}

//! `vendorgate schema`: the JSON Schema of the config files, for editors.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::error::{CliError, Exit};
use crate::config::{ConfigFileKind, schema};

/// Print the JSON Schema of a kind of file, for editors
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate schema contract > contract.schema.json\n\nThen, as the first line of a contract:\n  # yaml-language-server: $schema=../contract.schema.json"
)]
pub(super) struct SchemaArgs {
    /// Which file
    #[arg(value_enum, default_value = "config")]
    file: SchemaFile,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SchemaFile {
    /// The main file
    Config,
    /// One vendor's contract
    Contract,
    /// The operators' file
    Operators,
    /// The residency policy
    Residency,
}

impl SchemaArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let document = match self.file {
            SchemaFile::Config => ConfigFileKind::Config,
            SchemaFile::Contract => ConfigFileKind::Contract,
            SchemaFile::Operators => ConfigFileKind::Operators,
            SchemaFile::Residency => ConfigFileKind::Residency,
        };
        writeln!(out, "{:#}", schema(document))?;
        Ok(Exit::Yes)
    }
}

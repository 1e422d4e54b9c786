//! `vendorgate contract check` and `contract export`: a contract beside the description of the same API.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::contract_import::{FilterArgs, read};
use super::error::{CliError, Exit};
use super::kill::parse_direction;
use super::loader;
use crate::config::{Contract, FaultSeverity};
use crate::model::Direction;
use crate::openapi::{Drift, drifts, odcs, openapi};

/// Say where a contract and an OpenAPI description of the same API differ
///
/// Routes that the API no longer has, fields and parameters that it does not know, scopes that differ, and fields that
/// it classifies and the contract lets leave in clear. A contract that grants less than the API has does not differ by
/// that; --full lists it too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vendorgate contract check contracts/acme.yaml --against openapi.yaml
  vendorgate contract check contracts/stripe.yaml --against stripe.json --direction egress --full

Exits 0 when they agree, 1 when they differ, 2 when one cannot be read.")]
pub(super) struct CheckAgainstArgs {
    /// The contract
    #[arg(value_name = "CONTRACT")]
    contract: PathBuf,
    /// The description
    #[arg(long, value_name = "FILE")]
    against: PathBuf,
    /// Which routes of the contract [default: those that it has; ingress where it has both]
    #[arg(long, value_parser = parse_direction)]
    direction: Option<Direction>,
    /// Also what the API has and the contract does not grant
    #[arg(long)]
    full: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

impl CheckAgainstArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let contract = load(&self.contract)?;
        let document = read(&self.against)?;
        let direction = direction_of(&contract, self.direction);
        let found = drifts(&document, &contract, direction, &self.filter.filter(), self.full);
        if self.json {
            writeln!(out, "{:#}", serde_json::json!({ "drifted": !found.is_empty(), "drift": found }))?;
        } else if found.is_empty() {
            writeln!(out, "the contract and the description agree")?;
        }
        for Drift { route, key, what } in found.iter().filter(|_| !self.json) {
            writeln!(out, "{route}: {key}: {what}")?;
        }
        Ok(Exit::of(found.is_empty()))
    }
}

/// Write a contract as an OpenAPI description or as a data contract
///
/// Both are JSON, which is YAML too. The description has the routes, parameters, scopes and fields of one direction,
/// with x-data-classification at treated fields. The data contract (ODCS 3.1) lists what leaves to the vendor.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate contract export contracts/acme.yaml --openapi\n  vendorgate contract export contracts/acme.yaml --odcs > acme.odcs.yaml"
)]
pub(super) struct ExportArgs {
    /// The contract
    #[arg(value_name = "CONTRACT")]
    contract: PathBuf,
    /// As OpenAPI 3.1
    #[arg(long, required_unless_present = "odcs", conflicts_with = "odcs")]
    openapi: bool,
    /// As a data contract of the Open Data Contract Standard
    #[arg(long)]
    odcs: bool,
    /// Which routes --openapi describes [default: those that the contract has; ingress where it has both]
    #[arg(long, value_parser = parse_direction)]
    direction: Option<Direction>,
}

impl ExportArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let contract = load(&self.contract)?;
        let written =
            if self.odcs { odcs(&contract) } else { openapi(&contract, direction_of(&contract, self.direction)) };
        writeln!(out, "{written:#}")?;
        Ok(Exit::Yes)
    }
}

fn load(path: &std::path::Path) -> Result<Contract, CliError> {
    loader(FaultSeverity::Warning).load_contract(path).map_err(CliError::Config)
}

fn direction_of(contract: &Contract, asked: Option<Direction>) -> Direction {
    let own = if contract.ingress.is_empty() { Direction::Egress } else { Direction::Ingress };
    asked.unwrap_or(own)
}

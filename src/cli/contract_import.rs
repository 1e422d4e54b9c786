//! `vendorgate contract import`: the draft of a contract from the description of an API.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::error::{CliError, Exit};
use super::kill::parse_direction;
use crate::bounds::OPENAPI_BYTES_MAX;
use crate::model::{Clock, Direction, VendorId};
use crate::openapi::{ApiDocument, DraftOptions, OperationFilter, draft};

/// Draft a contract from an OpenAPI description (3.0 or 3.1, YAML or JSON)
///
/// Routes with their parameters, scopes, the fields of the bodies that leave, and rules from x-data-classification;
/// what else may be personal is a comment. Nothing passes under the draft until its line `mode: draft` is gone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vendorgate contract import openapi.yaml --vendor acme-analytics --upstream crm > contracts/acme-analytics.yaml
  vendorgate contract import stripe.json --vendor stripe --direction egress --path /v1/customers

Exits 0 when every operation that was asked for is in the draft, 1 when some are left out (each is named on standard
error and at the end of the draft), 2 when the description cannot be used.")]
pub(super) struct ImportArgs {
    /// The description
    #[arg(value_name = "FILE")]
    description: PathBuf,
    /// The vendor's id
    #[arg(long, value_parser = VendorId::parse)]
    vendor: VendorId,
    /// Who calls the API: the vendor (ingress), or our services the vendor's API (egress)
    #[arg(long, default_value = "ingress", value_parser = parse_direction)]
    direction: Direction,
    /// The internal API that the routes of ingress lead to
    #[arg(long, value_name = "NAME", default_value = "api")]
    upstream: String,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Which operations of a description are meant.
#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// Only operations with this tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Only operations whose path begins so
    #[arg(long, value_name = "PREFIX", default_value = "")]
    path: String,
    /// Of alternatives in `security`, those of this scheme; may be repeated
    #[arg(long = "security", value_name = "SCHEME")]
    schemes: Vec<String>,
    /// The API's address, in place of the description's first server
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

impl FilterArgs {
    pub(super) fn filter(&self) -> OperationFilter {
        OperationFilter {
            tags: self.tags.clone(),
            path: self.path.clone(),
            schemes: self.schemes.clone(),
            server: self.server.clone(),
        }
    }
}

impl ImportArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let document = read(&self.description)?;
        let options = DraftOptions {
            vendor: self.vendor.clone(),
            direction: self.direction,
            upstream: self.upstream.clone(),
            filter: self.filter.filter(),
            source: self.description.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            now: Clock::system().now().wall,
        };
        let draft = draft(&document, &options).map_err(|why| unusable(&self.description, why))?;
        write!(out, "{}", draft.yaml)?;
        let mut errors = std::io::stderr();
        for left_out in &draft.omitted {
            writeln!(errors, "left out: {}: {}", left_out.name, left_out.why)?;
        }
        writeln!(errors, "{} routes, {} operations left out", draft.routes, draft.omitted.len())?;
        Ok(Exit::of(draft.omitted.is_empty()))
    }
}

/// Reads a description, and no more of the file than one may have.
pub(super) fn read(path: &Path) -> Result<ApiDocument, CliError> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| unusable(path, error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(OPENAPI_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unusable(path, error.to_string()))?;
    ApiDocument::read(&bytes).map_err(|error| unusable(path, error.to_string()))
}

pub(super) fn unusable(path: &Path, why: String) -> CliError {
    CliError::InvalidArgument { what: "the description", why: format!("{}: {why}", path.display()) }
}

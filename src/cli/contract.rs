//! `vendorgate contract`: its verbs, and what a change of contracts newly lets out.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::error::{CliError, Exit};
use super::{contract_check, contract_import, loader, suggest};
use crate::config::{FaultSeverity, Widening, widenings};

/// Compare contracts, suggest one, or work with descriptions of APIs
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  vendorgate contract diff main/contracts contracts")]
pub(super) enum ContractCommand {
    Diff(DiffArgs),
    Suggest(suggest::SuggestArgs),
    Import(contract_import::ImportArgs),
    Check(contract_check::CheckAgainstArgs),
    Export(contract_check::ExportArgs),
}

/// Say what the contracts NEW let out that the contracts OLD do not
///
/// Reads meaning, not text: routes by what they match, treatments by what they leave of a value, limits by how much
/// passes. Where two versions cannot be compared, the change is reported. What a change newly forbids is not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vendorgate contract diff main/contracts contracts
  vendorgate contract diff old.yaml new.yaml --json
  vendorgate contract diff old.yaml new.yaml --md >> review.md

Exits 0 when nothing is let out that was not before, 1 when something is, 2 when a contract cannot be read.")]
pub(super) struct DiffArgs {
    /// A contract, or a folder of contracts
    old: PathBuf,
    /// A contract, or a folder of contracts
    new: PathBuf,
    /// Answer in JSON
    #[arg(long, conflicts_with = "md")]
    json: bool,
    /// Answer as a table in Markdown, for a review
    #[arg(long)]
    md: bool,
}

impl DiffArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let load = |path| loader(FaultSeverity::Warning).load_contracts(path).map_err(CliError::Config);
        let found = widenings(&load(&self.old)?, &load(&self.new)?);
        if self.json {
            writeln!(out, "{:#}", serde_json::json!({ "widens": !found.is_empty(), "changes": found }))?;
        } else if self.md {
            write!(out, "{}", markdown(&found))?;
        } else {
            write!(out, "{}", text(&found))?;
        }
        Ok(Exit::of(found.is_empty()))
    }
}

fn text(found: &[Widening]) -> String {
    if found.is_empty() {
        return "nothing is let out that was not before\n".to_owned();
    }
    let mut text = String::new();
    let mut heading = "";
    for change in found {
        if change.vendor != heading {
            heading = &change.vendor;
            text.push_str(&format!("{heading}\n"));
        }
        let route = if change.route.is_empty() { String::new() } else { format!("{}: ", change.route) };
        text.push_str(&format!("  {route}{}: {}\n", change.key, was_and_now(change)));
    }
    text
}

/// `old -> new`, where each side may say nothing.
fn was_and_now(change: &Widening) -> String {
    let said = |text: &str| if text.is_empty() { "nothing".to_owned() } else { text.to_owned() };
    format!("{} -> {}", said(&change.was), said(&change.now))
}

fn markdown(found: &[Widening]) -> String {
    if found.is_empty() {
        return "Nothing is let out that was not before.\n".to_owned();
    }
    let cell = |text: &str| text.replace('|', "\\|").replace('`', "'");
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{}`", cell(text)) };
    let mut page = "| vendor | route | key | was | now |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for Widening { vendor, route, key, was, now } in found {
        let cells = [vendor, route, key, was, now].map(|text| code(text));
        page.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_holds_what_would_end_a_cell() {
        let change = Widening {
            vendor: "acme".into(),
            route: "ingress GET|POST /a".into(),
            key: "only".into(),
            was: String::new(),
            now: "$[\"a`b\"]".into(),
        };
        let page = markdown(std::slice::from_ref(&change));
        assert!(page.ends_with("| `acme` | `ingress GET\\|POST /a` | `only` |  | `$[\"a'b\"]` |\n"), "{page}");
        assert_eq!(text(&[change]), "acme\n  ingress GET|POST /a: only: nothing -> $[\"a`b\"]\n");
    }
}

//! `vendorgate explain`: what would happen to a request, and which line of the contract decides it.
//!
//! Sends no request. Only with `--fetch-keys` it asks the issuer for its keys.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use http::{Method, Uri};
use serde_json::{Value, json};

use super::client::block_on;
use super::error::{CliError, Exit};
use super::kill::parse_direction;
use super::layout::printable;
use super::{ConfigFile, loader};
use crate::bounds;
use crate::config::{Contract, ContractSourceMap, FaultSeverity};
use crate::gateway::{ExplainOutcome, ExplainQuery, Explainer, Explanation};
use crate::model::{ClientId, Clock, Denial, Direction, VendorId};
use crate::server::StoredState;

/// Say what would happen to a request and why, rule by rule, without sending it
///
/// Each rule is printed with its line in the contract. Some rules cannot be checked without the real request: a token
/// that is bound to a certificate or key, a webhook's signature, keys that only the issuer has. These are marked '?',
/// and the request does not count as allowed. Exits 0 when the request would be allowed, 1 when it would be denied or a
/// rule cannot be checked, 2 when the arguments cannot be used.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate explain --vendor acme-analytics --token token.jwt GET '/v1/customers?page=2'\n  vendorgate explain --vendor acme-analytics --token - --fetch-keys GET /v1/customers < token.jwt\n  vendorgate explain --vendor acme-analytics --direction egress POST /v2/events"
)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// The vendor whose contract is used
    #[arg(long, value_name = "VENDOR", value_parser = VendorId::parse)]
    vendor: VendorId,
    /// The file that holds an access token; - for standard input
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// ingress or egress [default: ingress, or egress where the contract has no ingress routes]
    #[arg(long, value_parser = parse_direction)]
    direction: Option<Direction>,
    /// Ask the issuer for its keys, as the gateway does in the background
    #[arg(long)]
    fetch_keys: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    /// The service of ours that sends it, of `callers:` in the config
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// The method of the request
    #[arg(value_name = "METHOD")]
    method: String,
    /// The path of the request, with its query
    #[arg(value_name = "PATH")]
    target: String,
}

/// The result of all rules together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExplainVerdict<'a> {
    Allowed,
    Denied(&'a Denial),
    /// At least one rule cannot be checked without the real request, and none denies.
    Open,
}

impl ExplainArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let config = loader(FaultSeverity::Warning).load(&self.config.path).map_err(CliError::Config)?.config;
        let Some(contract) = config.contract(&self.vendor) else {
            let known: Vec<&str> = config.contracts.iter().map(|contract| contract.vendor.as_str()).collect();
            writeln!(
                out,
                "{}: no contract names this vendor; there are contracts of {}",
                self.vendor,
                known.join(", ")
            )?;
            return Ok(Exit::No);
        };
        let clock = Clock::system();
        let remembered = StoredState::read(&config, &clock).map_err(CliError::Start)?;
        let explainer = Explainer::new(&config, &remembered.authority, &remembered.switch);
        let explainer = explainer.map_err(|faults| CliError::invalid_argument("the config", first_error(&faults)))?;
        if self.fetch_keys {
            fetch_keys(&explainer)?;
        }
        let service = self.caller.as_deref().map(ClientId::new);
        if let Some(service) = &service
            && !config.egress.callers.iter().any(|known| known.name == *service)
        {
            return Err(CliError::invalid_argument("--caller", "the config names no such service under callers:"));
        }
        let steps = explainer.explain(&ExplainQuery {
            contract,
            direction: self.direction(contract),
            method: &Method::from_bytes(self.method.as_bytes())
                .map_err(|_| invalid_value("METHOD", &self.method, "GET"))?,
            target: &self.target.parse::<Uri>().map_err(|_| invalid_value("PATH", &self.target, "/v1/customers"))?,
            token: self.token()?.as_deref(),
            service: service.as_ref(),
            now: clock.now(),
        });
        self.print(contract, &steps, remembered.unread_reason, out)
    }

    fn direction(&self, contract: &Contract) -> Direction {
        match self.direction {
            Some(direction) => direction,
            None if contract.ingress.is_empty() && !contract.egress.is_empty() => Direction::Egress,
            None => Direction::Ingress,
        }
    }

    fn token(&self) -> Result<Option<String>, CliError> {
        let Some(path) = &self.token else { return Ok(None) };
        let mut text = String::new();
        let longest = bounds::TOKEN_BYTES_MAX as u64 + 16;
        let read = if path == Path::new("-") {
            std::io::stdin().take(longest).read_to_string(&mut text)
        } else {
            std::fs::File::open(path).and_then(|file| file.take(longest).read_to_string(&mut text))
        };
        read.map_err(|error| CliError::invalid_argument("--token", format_args!("{}: {error}", path.display())))?;
        let token = text.trim();
        // People often copy the scheme along with the token.
        Ok(Some(token.strip_prefix("Bearer ").unwrap_or(token).to_owned()))
    }

    fn print(
        &self,
        contract: &Contract,
        steps: &[Explanation],
        unread: Option<&str>,
        out: &mut dyn Write,
    ) -> Result<Exit, CliError> {
        let places = loader(FaultSeverity::Warning).source_map(&self.config.path, contract.vendor.as_str());
        let line = |rule: &str| rule_line(places.as_ref(), rule);
        let verdict = verdict(steps);
        if self.json {
            let json: Vec<Value> = steps.iter().map(|one| step_json(one, line(&one.rule))).collect();
            let object = json!({
                "vendor": contract.vendor.as_str(), "method": self.method, "path": self.target,
                "direction": self.direction(contract).as_str(), "answer": verdict_word(verdict),
                "reason": verdict_reason(verdict), "steps": json, "unread": unread,
            });
            writeln!(out, "{object}")?;
        } else {
            for one in steps {
                writeln!(out, "{}", step_line(one, line(&one.rule)))?;
            }
            if let Some(why) = unread {
                writeln!(out, "  ?  {why}")?;
            }
            writeln!(out, "\n{}: {}", contract.vendor, verdict_sentence(verdict))?;
        }
        Ok(Exit::of(verdict == ExplainVerdict::Allowed))
    }
}

/// Waits for the issuers' keys, within a bound. Whether they came shows in the steps.
fn fetch_keys(explainer: &Explainer<'_>) -> Result<(), CliError> {
    block_on(async {
        explainer.directory.start(&tokio::runtime::Handle::current());
        explainer.directory.warm(bounds::ISSUER_WARM_UP).await;
        Ok(())
    })
}

/// The first denial decides. Without one, any rule that cannot be checked leaves the result open.
fn verdict(steps: &[Explanation]) -> ExplainVerdict<'_> {
    let denial = steps.iter().find_map(|one| match &one.outcome {
        ExplainOutcome::Denied(denial) => Some(denial),
        ExplainOutcome::Allowed(_) | ExplainOutcome::Unknown(_) | ExplainOutcome::Note(_) => None,
    });
    let open = steps.iter().any(|one| matches!(one.outcome, ExplainOutcome::Unknown(_)));
    match denial {
        Some(denial) => ExplainVerdict::Denied(denial),
        None if open => ExplainVerdict::Open,
        None => ExplainVerdict::Allowed,
    }
}

const fn verdict_word(verdict: ExplainVerdict<'_>) -> &'static str {
    match verdict {
        ExplainVerdict::Allowed => "allowed",
        ExplainVerdict::Denied(_) => "denied",
        ExplainVerdict::Open => "open",
    }
}

const fn verdict_reason(verdict: ExplainVerdict<'_>) -> Option<&'static str> {
    match verdict {
        ExplainVerdict::Denied(denial) => Some(denial.reason.as_str()),
        ExplainVerdict::Allowed | ExplainVerdict::Open => None,
    }
}

fn verdict_sentence(verdict: ExplainVerdict<'_>) -> String {
    match verdict {
        ExplainVerdict::Allowed => "allowed, within its limits".to_owned(),
        ExplainVerdict::Denied(denial) => format!("denied, {}: {}", denial.reason.as_str(), denial.detail),
        ExplainVerdict::Open => "open: what is marked ? can only be checked with a real request".to_owned(),
    }
}

fn step_line(one: &Explanation, line: Option<String>) -> String {
    let (mark, said) = match &one.outcome {
        ExplainOutcome::Allowed(said) => ("ok", said.clone()),
        ExplainOutcome::Denied(denial) => ("NO", format!("{}: {}", denial.reason.as_str(), denial.detail)),
        ExplainOutcome::Unknown(why) => ("? ", why.clone()),
        ExplainOutcome::Note(said) => ("  ", said.clone()),
    };
    let place = line.map(|line| format!("  [{line} {}]", one.rule)).unwrap_or_default();
    printable(&format!("  {mark} {:<9} {said}{place}", one.step))
}

fn step_json(one: &Explanation, line: Option<String>) -> Value {
    let (outcome, said, reason) = match &one.outcome {
        ExplainOutcome::Allowed(said) => ("yes", said.as_str(), None),
        ExplainOutcome::Denied(denial) => ("no", &*denial.detail, Some(denial.reason.as_str())),
        ExplainOutcome::Unknown(why) => ("open", why.as_str(), None),
        ExplainOutcome::Note(said) => ("note", said.as_str(), None),
    };
    json!({ "step": one.step, "outcome": outcome, "says": said, "reason": reason, "rule": one.rule, "at": line })
}

/// The line of the contract that holds a rule; none where no contract holds it.
fn rule_line(places: Option<&ContractSourceMap>, rule: &str) -> Option<String> {
    if rule.is_empty() || rule == "revocations" { None } else { places.map(|places| places.line_of(rule)) }
}

fn invalid_value(what: &'static str, text: &str, example: &str) -> CliError {
    CliError::invalid_argument(what, format_args!("'{}' is none; write one such as {example}", printable(text)))
}

fn first_error(faults: &[crate::identity::DirectoryError]) -> String {
    faults.first().map(ToString::to_string).unwrap_or_default()
}

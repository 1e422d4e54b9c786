//! `vendorgate pii test`: what a contract's rules change in a body, before there is any traffic.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};

use super::error::{CliError, Exit};
use super::layout::printable;
use super::loader;
use crate::bounds::{CLEAR_TRIAL_NAMES_MAX, CLEAR_TRIAL_PLACES_MAX};
use crate::config::{Contract, ContractRoute, FaultSeverity};
use crate::model::{Direction, VendorId};
use crate::pii::keys::{KeyFileSource, MasterKeySource, SaltFolder};
use crate::pii::{
    ClearList, ClearPathCounts, ClearScanner, MasterKeys, OnUnexpectedShape, Plan, RecordBudgetSpent, RewriteError,
    RewriteObserver, VendorSalt,
};

/// Try out the rules for personal data
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  vendorgate pii test --contract config/contracts/acme-analytics.yaml --route 'GET /v1/customers' < body.json"
)]
pub(super) enum PiiCommand {
    Test(PiiTestArgs),
}

/// Treat a body from standard input by the rules of one route, and print what would leave
///
/// A summary goes to standard error: the number of values for each rule, and every field that leaves in clear. Without
/// a key file a random key is used: the tokens are real, but nothing can reveal them later. Exits 1 when the gateway
/// would refuse the body; with --strict also when a field leaves in clear that is not listed under clear: in the
/// contract. Only the body is read, not the URL or headers.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate pii test --contract config/contracts/acme-analytics.yaml --route 'GET /v1/customers' < body.json\n  vendorgate pii test --strict --contract config/contracts/acme-analytics.yaml --route 'POST /v2/events' < event.json"
)]
pub(super) struct PiiTestArgs {
    /// The contract's file
    #[arg(long, value_name = "FILE")]
    contract: PathBuf,
    /// The route, written as in the contract
    #[arg(long, value_name = "'METHOD PATH'")]
    route: String,
    /// Which body of the route [default: the one that leaves: the response for ingress, the request for egress]
    #[arg(long, value_enum)]
    body: Option<BodySide>,
    /// The body's content type
    #[arg(long, default_value = "application/json", value_name = "TYPE")]
    content_type: String,
    /// Exit 1 if a field leaves in clear that is neither treated nor listed under clear:
    #[arg(long)]
    strict: bool,
    /// The master key's file, to get the same tokens as the gateway
    #[arg(long, value_name = "FILE", requires = "state")]
    master: Option<PathBuf>,
    /// The gateway's state folder, which holds the vendor's salt
    #[arg(long, value_name = "FOLDER", requires = "master")]
    state: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BodySide {
    Request,
    Response,
}

impl PiiCommand {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        match self {
            Self::Test(test) => test.run(out),
        }
    }
}

impl PiiTestArgs {
    fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let contract = loader(FaultSeverity::Warning).load_contract(&self.contract).map_err(CliError::Config)?;
        let (direction, route) = self.route_of(&contract)?;
        let leaving = if direction == Direction::Ingress { BodySide::Response } else { BodySide::Request };
        let rules = match self.body.unwrap_or(leaving) {
            BodySide::Request => &route.request,
            BodySide::Response => &route.response,
        };
        let keys =
            self.load_keys()?.vendor_keys(&contract.vendor, &self.load_salt(&contract.vendor)?, rules.token_classes());
        let plan = Plan::compile(rules, Arc::new(keys)).map_err(CliError::Plan)?;
        let mut summary = PiiTestSummary {
            records: 0,
            subjects: 0,
            misshapen: false,
            on_shape: rules.on_unexpected_shape,
            treated: vec![0; plan.rules().len()],
            clear: ClearPathCounts::new(CLEAR_TRIAL_NAMES_MAX, CLEAR_TRIAL_PLACES_MAX),
        };
        let outcome = rewrite_stdin(&plan, &self.content_type, &mut summary, out);
        let mut errors = std::io::stderr();
        summary.print(&plan, &mut errors)?;
        let listed = summary.print_clear(&ClearList::of(rules), &mut errors)?;
        outcome?;
        if self.strict && !listed {
            writeln!(
                errors,
                "a field leaves in clear that is neither treated nor listed: treat it under pii, or list it under clear"
            )?;
        }
        Ok(Exit::of(listed || !self.strict))
    }

    fn route_of<'c>(&self, contract: &'c Contract) -> Result<(Direction, &'c ContractRoute), CliError> {
        let all = Direction::ALL
            .into_iter()
            .flat_map(|direction| contract.routes(direction).as_slice().iter().map(move |route| (direction, route)));
        let mut known: Vec<_> = all.collect();
        match known.iter().position(|(_, route)| route.pattern.as_str() == self.route) {
            Some(place) => Ok(known.swap_remove(place)),
            None => {
                let names: Vec<_> = known.iter().map(|(_, route)| route.pattern.as_str()).collect();
                let why = format!("the contract has no route '{}'; it has {}", self.route, names.join(", "));
                Err(CliError::invalid_argument("--route", why))
            }
        }
    }

    fn load_keys(&self) -> Result<MasterKeys, CliError> {
        let path = self.master.clone().unwrap_or_default();
        let ring = if self.master.is_some() { KeyFileSource::new(&path).load() } else { MasterKeys::generate() };
        ring.map_err(|source| CliError::Keys { path, source })
    }

    fn load_salt(&self, vendor: &VendorId) -> Result<VendorSalt, CliError> {
        let salt = match &self.state {
            Some(state) => SaltFolder::new(state.join("salts")).open(vendor),
            None => VendorSalt::generate(),
        };
        salt.map_err(|source| CliError::Keys { path: self.state.clone().unwrap_or_default(), source })
    }
}

fn rewrite_stdin(
    plan: &Plan,
    content_type: &str,
    watch: &mut PiiTestSummary,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let mut engine = plan.body_rewriter(Some(content_type), None).map_err(CliError::Body)?;
    let mut witness = (!plan.reads_body()).then(|| ClearScanner::new(Some(content_type), None));
    let (mut input, mut treated) = (vec![0; 64 * 1024], Vec::new());
    loop {
        let read = std::io::stdin().read(&mut input)?;
        let tell = &mut |path: &str| watch.clear.add(path, 1);
        match &mut witness {
            Some(witness) if read == 0 => witness.finish(tell),
            Some(witness) => witness.feed(&input[..read], tell),
            None => {}
        }
        let outcome = match read {
            0 => engine.finish(watch, &mut treated),
            _ => engine.feed(&input[..read], watch, &mut treated),
        };
        out.write_all(&treated)?;
        treated.clear();
        outcome.map_err(CliError::Body)?;
        if read == 0 {
            return Ok(());
        }
    }
}

/// Counts what happened to the body, for the summary.
struct PiiTestSummary {
    records: u64,
    subjects: u64,
    /// Whether the body has another shape than the contract's records describe.
    misshapen: bool,
    on_shape: OnUnexpectedShape,
    treated: Vec<u64>,
    clear: ClearPathCounts,
}

impl RewriteObserver for PiiTestSummary {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        self.records += 1;
        Ok(())
    }

    fn on_treated(&mut self, rule: usize) {
        if let Some(count) = self.treated.get_mut(rule) {
            *count += 1;
        }
    }

    fn on_unexpected_shape(&mut self, why: RewriteError) -> Result<(), RewriteError> {
        self.misshapen = true;
        self.records = self.records.max(1);
        if self.on_shape == OnUnexpectedShape::Refuse { Err(why) } else { Ok(()) }
    }

    fn on_subject(&mut self, _value: &[u8]) {
        self.subjects += 1;
    }

    fn wants_clear_paths(&self) -> bool {
        true
    }

    fn on_clear_path(&mut self, path: &str) {
        self.clear.add(path, 1);
    }
}

impl PiiTestSummary {
    fn print(&self, plan: &Plan, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{:>8}  records", self.records)?;
        if self.misshapen {
            writeln!(out, "          not of the shape that the records describe")?;
        }
        if self.subjects > 0 {
            writeln!(out, "{:>8}  subjects named", self.subjects)?;
        }
        for (rule, count) in plan.rules().iter().zip(&self.treated) {
            let category = rule.category.as_ref().map(|category| format!("  {category}")).unwrap_or_default();
            writeln!(out, "{count:>8}  {}  {}{category}", rule.treatment.as_str(), rule.location)?;
        }
        for (result, count) in plan.reveal_counts().results().filter(|(_, count)| *count > 0) {
            let left = if result == "opened" { "" } else { "left: " };
            writeln!(out, "{count:>8}  tokens {left}{}", result.replace('_', " "))?;
        }
        Ok(())
    }
    /// Prints every field that leaves in clear. Returns whether all of them are listed.
    fn print_clear(&self, listed: &ClearList, out: &mut dyn Write) -> std::io::Result<bool> {
        let mut all = self.clear.others() == 0;
        for (path, values) in self.clear.list() {
            let is_listed = listed.allows(&path);
            all &= is_listed;
            let mark = if is_listed { "listed" } else { "NOT LISTED under clear" };
            writeln!(out, "{values:>8}  in clear  {}  {mark}", printable(&path))?;
        }
        if self.clear.others() > 0 {
            writeln!(
                out,
                "{:>8}  in clear  at other paths, too many to name  NOT LISTED under clear",
                self.clear.others()
            )?;
        }
        Ok(all)
    }
}

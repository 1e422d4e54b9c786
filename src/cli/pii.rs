//! `vendorgate pii test`: what a contract's rules make of a body, before any traffic meets them.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};

use super::error::{CliError, Exit};
use super::loader;
use crate::config::{Contract, Route, Severity};
use crate::model::{Direction, VendorId};
use crate::pii::keys::{FileSource, MasterKeySource, SaltFolder};
use crate::pii::{Cut, KeyRing, OnShape, Plan, Stop, VendorSalt, Watch};

/// Try out the rules for personal data
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  vendorgate pii test --contract config/contracts/acme-analytics.yaml --route 'GET /v1/customers' < body.json"
)]
pub(super) enum Pii {
    Test(Test),
}

/// Treat a body from standard input by the rules of one route, and print what would leave
///
/// A summary of fields goes to standard error. Without a key file a random key is used: the tokens are real and end with
/// this command. Exits 1 when the gateway would refuse the body.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate pii test --contract config/contracts/acme-analytics.yaml --route 'GET /v1/customers' < body.json"
)]
pub(super) struct Test {
    /// The contract
    #[arg(long, value_name = "FILE")]
    contract: PathBuf,
    /// The route, as the contract writes it
    #[arg(long, value_name = "'METHOD PATH'")]
    route: String,
    /// Which body of the route; by default the one that leaves: the answer inward, the request outward
    #[arg(long, value_enum)]
    body: Option<Which>,
    /// The body's content type
    #[arg(long, default_value = "application/json", value_name = "TYPE")]
    content_type: String,
    /// The master key, for the very tokens that the gateway makes
    #[arg(long, value_name = "FILE", requires = "state")]
    master: Option<PathBuf>,
    /// The gateway's state folder, where the vendor's salt is
    #[arg(long, value_name = "FOLDER", requires = "master")]
    state: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Request,
    Response,
}

impl Pii {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        match self {
            Self::Test(test) => test.run(out),
        }
    }
}

impl Test {
    fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let contract = loader(Severity::Warning).load_contract(&self.contract).map_err(CliError::Config)?;
        let (direction, route) = self.route_of(&contract)?;
        let leaving = if direction == Direction::Ingress { Which::Response } else { Which::Request };
        let rules = match self.body.unwrap_or(leaving) {
            Which::Request => &route.request,
            Which::Response => &route.response,
        };
        let keys = self.ring()?.vendor_keys(&contract.vendor, &self.salt(&contract.vendor)?, rules.classes());
        let plan = Plan::compile(rules, Arc::new(keys)).map_err(CliError::Plan)?;
        let on_shape = rules.on_shape;
        let mut summary =
            Summary { records: 0, subjects: 0, misshapen: false, on_shape, treated: vec![0; plan.rules().len()] };
        let outcome = treat(&plan, &self.content_type, &mut summary, out);
        summary.print(&plan, &mut std::io::stderr())?;
        outcome.map(|()| Exit::Yes)
    }

    fn route_of<'c>(&self, contract: &'c Contract) -> Result<(Direction, &'c Route), CliError> {
        let all = Direction::ALL
            .into_iter()
            .flat_map(|direction| contract.routes(direction).as_slice().iter().map(move |route| (direction, route)));
        let mut known: Vec<_> = all.collect();
        match known.iter().position(|(_, route)| route.pattern.as_str() == self.route) {
            Some(place) => Ok(known.swap_remove(place)),
            None => {
                let names: Vec<_> = known.iter().map(|(_, route)| route.pattern.as_str()).collect();
                let why = format!("the contract has no route '{}'; it has {}", self.route, names.join(", "));
                Err(CliError::unusable("--route", why))
            }
        }
    }

    fn ring(&self) -> Result<KeyRing, CliError> {
        let path = self.master.clone().unwrap_or_default();
        let ring = if self.master.is_some() { FileSource::new(&path).load() } else { KeyRing::generate() };
        ring.map_err(|source| CliError::Keys { path, source })
    }

    fn salt(&self, vendor: &VendorId) -> Result<VendorSalt, CliError> {
        let salt = match &self.state {
            Some(state) => SaltFolder::new(state.join("salts")).open(vendor),
            None => VendorSalt::generate(),
        };
        salt.map_err(|source| CliError::Keys { path: self.state.clone().unwrap_or_default(), source })
    }
}

fn treat(plan: &Plan, content_type: &str, watch: &mut Summary, out: &mut dyn Write) -> Result<(), CliError> {
    let mut engine = plan.body(Some(content_type), None).map_err(CliError::Body)?;
    let (mut input, mut treated) = (vec![0; 64 * 1024], Vec::new());
    loop {
        let read = std::io::stdin().read(&mut input)?;
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

/// What passed, for the person at the terminal.
struct Summary {
    records: u64,
    subjects: u64,
    /// Whether the body is not of the shape that the records describe, and what the contract says to that.
    misshapen: bool,
    on_shape: OnShape,
    treated: Vec<u64>,
}

impl Watch for Summary {
    fn record(&mut self) -> Result<(), Cut> {
        self.records += 1;
        Ok(())
    }

    fn treated(&mut self, rule: usize) {
        if let Some(count) = self.treated.get_mut(rule) {
            *count += 1;
        }
    }

    fn misshapen(&mut self, why: Stop) -> Result<(), Stop> {
        self.misshapen = true;
        self.records = self.records.max(1);
        if self.on_shape == OnShape::Refuse { Err(why) } else { Ok(()) }
    }

    fn subject(&mut self, _value: &[u8]) {
        self.subjects += 1;
    }
}

impl Summary {
    fn print(&self, plan: &Plan, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{:>8}  records", self.records)?;
        if self.misshapen {
            writeln!(out, "          not of the shape that the records describe")?;
        }
        if self.subjects > 0 {
            writeln!(out, "{:>8}  subjects named", self.subjects)?;
        }
        for (rule, count) in plan.rules().iter().zip(&self.treated) {
            writeln!(out, "{count:>8}  {}  {}", rule.treatment, rule.place)?;
        }
        for (result, count) in plan.reveal_counts().results().filter(|(_, count)| *count > 0) {
            let left = if result == "opened" { "" } else { "left: " };
            writeln!(out, "{count:>8}  tokens {left}{}", result.replace('_', " "))?;
        }
        Ok(())
    }
}

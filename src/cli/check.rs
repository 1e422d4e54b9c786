//! `vendorgate check`: whether the config and the contracts are valid.

use std::io::Write;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, Value, json};

use super::error::{CliError, Exit};
use super::{ConfigFile, loader};
use crate::config::{ConfigFaults, FaultSeverity, GatewaySettings, LoadedConfig};
use crate::fleet::FleetEngine;
use crate::identity::IdentitySettings;
use crate::model::{VendorId, with_causes};

/// Validate the config and every contract, and print all faults at once
///
/// Each fault is printed with its file, line and column, and with what to write instead. A key or certificate that is
/// not on this machine is a warning, so that a config can be checked on a machine that has no secrets.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate check --config config/vendorgate.yaml\n  vendorgate check --config config/vendorgate.yaml --strict --json"
)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Treat missing keys and certificates as faults, as `run` does, and exit 1 for every other warning too; connect to
    /// the engine of a fleet
    #[arg(long)]
    strict: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let missing_secrets = if self.strict { FaultSeverity::Fault } else { FaultSeverity::Warning };
        let loaded = loader(missing_secrets).load(&self.config.path);
        let engine = match &loaded {
            Ok(loaded) if self.strict => engine_doubts(&loaded.config),
            Ok(_) | Err(_) => Vec::new(),
        };
        if self.json {
            self.print_json(out, &loaded, &engine)?;
        } else {
            self.print(out, &loaded)?;
            engine.iter().try_for_each(|doubt| writeln!(out, "fleet.redis: {doubt}"))?;
        }
        let good = loaded.is_ok_and(|loaded| !self.strict || loaded.warnings.as_slice().is_empty());
        Ok(Exit::of(good && engine.is_empty()))
    }

    fn print(&self, out: &mut dyn Write, loaded: &Result<LoadedConfig, ConfigFaults>) -> std::io::Result<()> {
        let path = self.config.path.display();
        match loaded {
            Ok(loaded) => {
                write!(out, "{}", loaded.warnings.with_snippets())?;
                for (vendor, in_force) in issuer_profiles(&loaded.config) {
                    writeln!(out, "{vendor}: issuer_profile {in_force}")?;
                }
                let (contracts, routes) = counts(&loaded.config);
                writeln!(out, "{path}: good: {}, {}", plural(contracts, "contract"), plural(routes, "route"))
            }
            Err(faults) => {
                write!(out, "{}", faults.with_snippets())?;
                let fatal = faults.as_slice().iter().filter(|fault| fault.severity == FaultSeverity::Fault).count();
                writeln!(out, "{path}: {}", plural(fatal, "fault"))
            }
        }
    }

    fn print_json(
        &self,
        out: &mut dyn Write,
        loaded: &Result<LoadedConfig, ConfigFaults>,
        engine: &[String],
    ) -> std::io::Result<()> {
        let mut answer = match loaded {
            Ok(loaded) => {
                let (contracts, routes) = counts(&loaded.config);
                let profiles: Map<String, Value> =
                    issuer_profiles(&loaded.config).map(|(vendor, text)| (vendor.to_string(), text.into())).collect();
                json!({
                    "good": true, "contracts": contracts, "routes": routes, "issuer_profiles": profiles,
                    "faults": loaded.warnings.to_json(),
                })
            }
            Err(faults) => json!({ "good": false, "faults": faults.to_json() }),
        };
        if !engine.is_empty() {
            answer["engine"] = json!(engine);
        }
        writeln!(out, "{answer:#}")
    }
}

/// What is wrong with the fleet's engine, which is connected to; empty where there is none.
fn engine_doubts(config: &GatewaySettings) -> Vec<String> {
    let Some(settings) = config.fleet.clone() else { return Vec::new() };
    let inspect = async { FleetEngine::new(&Arc::new(settings)).inspect().await };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(inspect)) {
        Ok(Ok(doubts)) => doubts,
        Ok(Err(error)) => vec![format!("{}; start the engine, or correct its place and login", with_causes(&error))],
        Err(error) => vec![format!("the engine cannot be connected to: {error}")],
    }
}

/// What is in force at each issuer for which a contract asked for defaults.
fn issuer_profiles(config: &GatewaySettings) -> impl Iterator<Item = (&VendorId, String)> {
    config.contracts.iter().filter_map(|contract| match contract.identity.as_ref()? {
        IdentitySettings::Token(settings) => Some((&contract.vendor, settings.profile_in_force()?)),
        IdentitySettings::Certificate(_) | IdentitySettings::Webhook(_) => None,
    })
}

fn counts(config: &GatewaySettings) -> (usize, usize) {
    let routes =
        config.contracts.iter().map(|contract| contract.ingress.as_slice().len() + contract.egress.as_slice().len());
    (config.contracts.len(), routes.sum())
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

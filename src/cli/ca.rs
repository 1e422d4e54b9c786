//! `vendorgate ca`: makes the authority of interception, and the file of authorities that services are given.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::error::{CliError, Exit};
use super::loader;
use crate::bounds::{AUTHORITY_DAYS, AUTHORITY_DAYS_MAX};
use crate::config::{FaultSeverity, TunnelMode};
use crate::interception::{
    AuthorityFiles, AuthorityOrder, InterceptionError, java_trust_store, merged_bundle, to_pem, write_public_file,
};
use crate::model::Clock;

/// Make the authority of interception, and the file of authorities that services trust
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  vendorgate ca generate --out ca --config config/vendorgate.yaml\n  vendorgate ca bundle --out ca/bundle.pem --ca ca/egress.pem"
)]
pub(super) enum CaCommand {
    Generate(CaGenerateArgs),
    Bundle(CaBundleArgs),
}

/// Make an authority that may sign for the hosts that are named, and for nothing else
///
/// Writes egress.pem and egress.key (mode 0600) into the folder. A host permits its sub-domains too (RFC 5280 section
/// 4.2.1.10); IP addresses are excluded. Whoever has the key can impersonate these hosts towards services that trust
/// the certificate: keep it where you keep private keys.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate ca generate --out ca --config config/vendorgate.yaml\n  vendorgate ca generate --out ca --host api.acme.example --days 90\n\nExits 2 when the files are there already, unless --force replaces them."
)]
pub(super) struct CaGenerateArgs {
    /// The folder for the two files; made where there is none
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// A host to sign for; may be given several times
    #[arg(long = "host", value_name = "NAME", id = "hosts", required_unless_present = "main")]
    hosts: Vec<String>,
    /// Sign for the hosts of all contracts with tunnel: intercept that this main file names, beside each --host
    #[arg(long = "config", value_name = "FILE", id = "main")]
    main: Option<PathBuf>,
    /// How many days it is valid
    #[arg(long, value_name = "COUNT", default_value_t = AUTHORITY_DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(AUTHORITY_DAYS_MAX)))]
    days: u32,
    /// Replace the files that are there: every service must then be given the new certificate
    #[arg(long)]
    force: bool,
}

/// Write the machine's authorities and ours into one PEM file
///
/// Most variables that name such a file (SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE) replace the machine's
/// authorities, so the file holds both.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate ca bundle --out ca/bundle.pem --ca ca/egress.pem\n  vendorgate ca bundle --out ca/bundle.pem --ca ca/egress.pem --trust-store ca/bundle.jks"
)]
pub(super) struct CaBundleArgs {
    /// The file to write; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Our authority's certificate
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Also write the same authorities as a trust store for Java
    #[arg(long, value_name = "FILE")]
    trust_store: Option<PathBuf>,
}

impl CaCommand {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        match self {
            Self::Generate(args) => args.run(out),
            Self::Bundle(args) => args.run(out),
        }
    }
}

impl CaGenerateArgs {
    fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let mut hosts = self.hosts.clone();
        if let Some(main) = &self.main {
            hosts.extend(intercepted_hosts(main)?);
        }
        let order = AuthorityOrder { hosts, days: self.days };
        let files = AuthorityFiles::generate(&order, Clock::system().now().wall)?;
        let [certificate, key] = files.write(&self.out, self.force)?;
        writeln!(out, "{}: an authority for {}", certificate.display(), files.hosts.join(", "))?;
        writeln!(out, "{}: its key", key.display())?;
        Ok(Exit::Yes)
    }
}

/// The hosts of contracts that intercept.
///
/// Reads the contracts by themselves, because their gateway does not start before the authority is made for them.
fn intercepted_hosts(main: &Path) -> Result<Vec<String>, CliError> {
    let contracts = loader(FaultSeverity::Warning).contracts_of(main).map_err(CliError::Config)?;
    let reaches = contracts.iter().map(|contract| &contract.reach);
    let hosts = reaches.filter(|reach| reach.tunnel == TunnelMode::Intercept).flat_map(|reach| &reach.hosts);
    let hosts: Vec<String> = hosts.map(|host| host.host.to_string()).collect();
    if hosts.is_empty() {
        let why = "none of its contracts intercepts: write tunnel: intercept under egress of one".to_owned();
        return Err(CliError::InvalidArgument { what: "--config", why });
    }
    Ok(hosts)
}

impl CaBundleArgs {
    fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let count = write_bundle(&self.out, self.trust_store.as_deref(), self.ca.as_deref())?;
        writeln!(out, "{}: {count} authorities", self.out.display())?;
        if let Some(store) = &self.trust_store {
            writeln!(out, "{}: the same for Java", store.display())?;
        }
        Ok(Exit::Yes)
    }
}

/// Writes what services trust: the machine's authorities and those of the file `ca`. Returns how many there are.
pub(super) fn write_bundle(pem: &Path, store: Option<&Path>, ca: Option<&Path>) -> Result<usize, InterceptionError> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|source| InterceptionError::Read { path: path.to_owned(), source });
    let all = merged_bundle(ca.map(read).transpose()?.as_deref())?;
    write_public_file(pem, to_pem(&all).as_bytes())?;
    if let Some(store) = store {
        write_public_file(store, &java_trust_store(&all, Clock::system().now().wall))?;
    }
    Ok(all.len())
}

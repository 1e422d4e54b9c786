//! `vendorgate egress`: how a service is told to call through the gateway.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::ca::write_bundle;
use super::egress_environment::{EnvironmentFormat, ProxyAddress, ServiceEnvironment};
use super::error::{CliError, Exit};
use super::supervise::run_child;
use super::{ConfigFile, loader};
use crate::config::{FaultSeverity, GatewaySettings};
use crate::model::hex;

/// Tell a service to call through the gateway
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  vendorgate egress env --config config/vendorgate.yaml --bundle /etc/vendorgate/bundle.pem\n  vendorgate egress run --config config/vendorgate.yaml -- curl https://api.acme.example/v2/events"
)]
pub(super) enum EgressCommand {
    Env(EgressEnvArgs),
    Run(EgressRunArgs),
}

/// Where the gateway is, as a service sees it, and what is not called through it.
#[derive(Debug, Args)]
struct ProxyArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Where the egress listener is, as the service sees it: http://HOST:PORT [default: the address in the config]
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Our service's name under `callers:`, for one that is known by a token; the token is then read from --token-file
    #[arg(long, value_name = "NAME", requires = "token_file")]
    caller: Option<String>,
    /// The file of the service's token
    #[arg(long, value_name = "FILE", requires = "caller")]
    token_file: Option<PathBuf>,
    /// A host, domain or network that is called directly, beside this machine and the metadata address; may be given
    /// several times. Name the networks of your pods
    #[arg(long = "no-proxy", value_name = "HOST")]
    direct: Vec<String>,
}

/// Print the variables that make a service call through the gateway
///
/// The variables that name authorities are printed where contracts are intercepted: give the file that `vendorgate ca
/// bundle` wrote, as the service sees it. JAVA_TOOL_OPTIONS names the trust store where one is given.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate egress env --config config/vendorgate.yaml\n  vendorgate egress env --config config/vendorgate.yaml --format k8s --proxy http://127.0.0.1:8081 --bundle /etc/vendorgate/bundle.pem --trust-store /etc/vendorgate/bundle.jks --no-proxy 10.0.0.0/8"
)]
pub(super) struct EgressEnvArgs {
    #[command(flatten)]
    proxy: ProxyArgs,
    /// For a shell (export lines), for `docker run --env-file`, or for a container in Kubernetes (a list in YAML)
    #[arg(long, value_enum, default_value_t = EnvironmentFormat::Sh)]
    format: EnvironmentFormat,
    /// The file of all authorities, PEM
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The trust store for Java
    #[arg(long, value_name = "FILE")]
    trust_store: Option<PathBuf>,
}

/// Run a command that calls through the gateway
///
/// The command gets the variables of `vendorgate egress env`, and files of authorities in a private folder that is
/// removed at its end. Signals are passed on; the exit code is the command's own, or 128 and the number of the signal
/// that ended it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate egress run --config config/vendorgate.yaml -- curl https://api.acme.example/v2/events\n\nExits 127 when the command is not found, 126 when it cannot be run."
)]
pub(super) struct EgressRunArgs {
    #[command(flatten)]
    proxy: ProxyArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl EgressCommand {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        match self {
            Self::Env(args) => args.run(out),
            Self::Run(args) => args.run(),
        }
    }
}

impl ProxyArgs {
    fn load(&self) -> Result<GatewaySettings, CliError> {
        Ok(loader(FaultSeverity::Warning).load(&self.config.path).map_err(CliError::Config)?.config)
    }

    /// The variables, with the files of authorities where there are some.
    fn environment(
        &self,
        config: &GatewaySettings,
        bundle: Option<&Path>,
        trust_store: Option<&Path>,
    ) -> Result<ServiceEnvironment, CliError> {
        let mut proxy = match &self.proxy {
            Some(text) => ProxyAddress::parse(text).map_err(|why| CliError::invalid_argument("--proxy", why))?,
            None => ProxyAddress::of_listener(config.listeners.egress.as_ref())
                .map_err(|why| CliError::invalid_argument("--config", why))?,
        };
        if let (Some(name), Some(path)) = (&self.caller, &self.token_file) {
            let unreadable = |error: std::io::Error| CliError::invalid_argument("--token-file", error);
            let token = zeroize::Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?);
            proxy = proxy.of_caller(name, token.trim());
        }
        let text = |what, path: Option<&Path>| {
            let text = |path: &Path| path.to_str().filter(|text| is_plain(text)).map(str::to_owned);
            let refused = || CliError::invalid_argument(what, "must be a path without quotes and control characters");
            path.map(|path| text(path).ok_or_else(refused)).transpose()
        };
        if let Some(odd) = self.direct.iter().find(|host| host.contains([',', '|']) || !is_plain(host)) {
            return Err(CliError::invalid_argument("--no-proxy", format!("'{odd}' is no host, domain or network")));
        }
        Ok(ServiceEnvironment {
            proxy,
            direct: self.direct.clone(),
            bundle: text("--bundle", bundle)?,
            trust_store: text("--trust-store", trust_store)?,
        })
    }
}

/// Whether a text means the same in every format, and in the options of a Java machine.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|symbol: char| symbol.is_control() || symbol == '"' || symbol == '\'')
}

impl EgressEnvArgs {
    fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let config = self.proxy.load()?;
        if config.egress.interception.is_some() && self.bundle.is_none() {
            eprintln!(
                "note: contracts are intercepted, and no --bundle is given: services would refuse the gateway's certificates"
            );
        }
        let environment = self.proxy.environment(&config, self.bundle.as_deref(), self.trust_store.as_deref())?;
        out.write_all(self.format.render(&environment.variables()).as_bytes())?;
        Ok(Exit::Yes)
    }
}

impl EgressRunArgs {
    fn run(&self) -> Result<Exit, CliError> {
        let config = self.proxy.load()?;
        let folder = match &config.egress.interception {
            Some(files) => Some((PrivateFolder::new()?, files.ca.clone())),
            None => None,
        };
        let (mut bundle, mut store) = (None, None);
        if let Some((folder, ca)) = &folder {
            let (pem, jks) = (folder.0.join("bundle.pem"), folder.0.join("bundle.jks"));
            write_bundle(&pem, Some(&jks), Some(ca))?;
            (bundle, store) = (Some(pem), Some(jks));
        }
        let mut variables = self.proxy.environment(&config, bundle.as_deref(), store.as_deref())?.variables();
        for (name, value) in &mut variables {
            // The command's own options of a Java machine stay.
            if *name == "JAVA_TOOL_OPTIONS"
                && let Ok(own) = std::env::var(name)
            {
                *value = format!("{own} {value}");
            }
        }
        run_child(&self.command, &variables)
    }
}

/// A folder that only this user can read, removed at the end.
struct PrivateFolder(PathBuf);

impl PrivateFolder {
    fn new() -> std::io::Result<Self> {
        let mut bytes = [0; 12];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| std::io::Error::other("no randomness"))?;
        let name = format!("vendorgate-{}", hex(&bytes));
        let path = std::env::temp_dir().join(name);
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // Nothing in it is secret; what cannot be removed is left to the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

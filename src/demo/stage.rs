//! Everything that the story needs, started: the sample services and the gateway itself.

use std::net::SocketAddr;
use std::sync::Arc;

use super::DemoError;
use super::folder::{DemoFolder, OperatorTokens};
use super::services::SampleServices;
use crate::config::{ConfigLoader, Contract, FaultSeverity};
use crate::listener::PassedSockets;
use crate::model::{Clock, Secret, UnixTime};
use crate::server::{Server, ServerOptions};
use crate::telemetry::ExchangeLog;

/// The running services and the gateway.
#[derive(Debug)]
pub(super) struct DemoStage {
    pub(super) clock: Clock,
    pub(super) services: SampleServices,
    /// Where vendors call the gateway.
    pub(super) ingress: SocketAddr,
    /// Where our services call vendors through it.
    pub(super) egress: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) tokens: OperatorTokens,
    /// By what the vendor knows us; the gateway alone uses it.
    pub(super) vendor_credential: Secret<String>,
    /// The contract that the story is about, as the gateway reads it.
    pub(super) contract: Arc<Contract>,
    pub(super) folder: DemoFolder,
    server: Server,
}

impl DemoStage {
    /// Starts everything.
    pub(super) async fn start() -> Result<Self, DemoError> {
        let (clock, services, folder) = (Clock::system(), SampleServices::start()?, DemoFolder::create()?);
        let [crm, partner] = [services.crm_at, services.partner_at].map(|address| address.to_string());
        let names = [("ISSUER", services.issuer.url()), ("PARTNER", &partner), ("CRM", &crm)];
        let tokens = folder.write_files(names, &clock)?;
        let vendor_credential = folder.write_credential()?;
        let (server, contract) = start(&folder, clock.now().wall).await?;
        let addresses = server.addresses();
        let open = |address: Option<SocketAddr>| address.ok_or(DemoError::new("the demo's config lacks a listener"));
        let (ingress, egress, admin) = (open(addresses.ingress)?, open(addresses.egress)?, open(addresses.admin)?);
        Ok(Self { clock, services, ingress, egress, admin, tokens, vendor_credential, contract, folder, server })
    }

    /// Stops the gateway as SIGTERM would, and removes every file.
    pub(super) async fn stop(self) {
        let Self { server, folder, .. } = self;
        server.drain().await;
        drop(folder);
    }
}

async fn start(folder: &DemoFolder, now: UnixTime) -> Result<(Server, Arc<Contract>), DemoError> {
    let main = folder.main();
    let loader = ConfigLoader { environment: &|_| None, missing_secrets: FaultSeverity::Fault, now };
    let config = loader.load(&main).map_err(DemoError::because("the demo's config has faults"))?.config;
    let acme = config.contracts.iter().find(|contract| contract.vendor.as_str() == "acme-analytics");
    let contract = Arc::clone(acme.ok_or(DemoError::new("the demo's config lacks a contract"))?);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let options = ServerOptions {
        main,
        workers,
        exchange_log: ExchangeLog::off(),
        clock: Clock::system(),
        sockets: PassedSockets::default(),
    };
    let server = Server::start(config, options).await.map_err(DemoError::because("the gateway cannot start"))?;
    Ok((server, contract))
}

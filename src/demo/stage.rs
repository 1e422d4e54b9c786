//! Everything that the story needs, started: the sample services, the issuer, the vendor and the gateway itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::DemoError;
use super::client::{DemoReply, DemoRequest};
use super::crm::Crm;
use super::folder::{DemoFolder, OperatorTokens};
use super::issuer::{DemoGrant, DemoIssuer};
use super::partner::Partner;
use super::site::{LoopbackSocket, Site, SiteThread};
use crate::config::{ConfigLoader, Contract, FaultSeverity};
use crate::http::ClientError;
use crate::identity::SigningError;
use crate::model::{Clock, Secret, UnixTime};
use crate::server::{Server, ServerOptions};
use crate::telemetry::ExchangeLog;

/// The client id of the sample vendor.
pub(super) const ACME: &str = "acme-batch";
/// The client id of a second vendor, which a kill of the first must not affect.
pub(super) const SWIFT: &str = "swift-hub";

/// The running services and the gateway.
#[derive(Debug)]
pub(super) struct DemoStage {
    pub(super) clock: Clock,
    /// The address of the internal API, to compare what it holds with what left.
    pub(super) crm_at: SocketAddr,
    pub(super) issuer_at: SocketAddr,
    pub(super) partner_at: SocketAddr,
    /// Where vendors call the gateway.
    pub(super) ingress: SocketAddr,
    /// Where our services call vendors through it.
    pub(super) egress: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) crm: Arc<Crm>,
    pub(super) issuer: Arc<DemoIssuer>,
    pub(super) partner: Arc<Partner>,
    pub(super) tokens: OperatorTokens,
    /// The contract that the story is about, as the gateway reads it.
    pub(super) contract: Arc<Contract>,
    pub(super) folder: DemoFolder,
    server: Server,
    _sites: SiteThread,
}

impl DemoStage {
    /// Starts everything.
    pub(super) async fn start() -> Result<Self, DemoError> {
        let clock = Clock::system();
        let [crm_socket, issuer_socket, partner_socket] =
            [LoopbackSocket::bind()?, LoopbackSocket::bind()?, LoopbackSocket::bind()?];
        let (crm_at, issuer_at) = (crm_socket.address()?, issuer_socket.address()?);
        let partner_at = partner_socket.address()?;
        let (crm, partner) = (Arc::new(Crm::default()), Arc::new(Partner::default()));
        let issuer = DemoIssuer::new(format!("http://{issuer_at}"), secret()?).map_err(|_| DemoError::Random)?;
        let issuer = Arc::new(issuer);
        let sites: Vec<(LoopbackSocket, Arc<dyn Site>)> = vec![
            (crm_socket, Arc::clone(&crm) as _),
            (issuer_socket, Arc::clone(&issuer) as _),
            (partner_socket, Arc::clone(&partner) as _),
        ];
        let sites = SiteThread::serve(sites)?;
        let folder = DemoFolder::create()?;
        let (crm_name, partner_name) = (crm_at.to_string(), partner_at.to_string());
        let services = [("ISSUER", issuer.url()), ("PARTNER", &*partner_name), ("CRM", &*crm_name)];
        let tokens = folder.write_files(services, &clock)?;
        let (server, contract) = start(&folder).await?;
        let addresses = server.addresses();
        let missing = || DemoError::Listener;
        Ok(Self {
            clock,
            crm_at,
            issuer_at,
            partner_at,
            ingress: addresses.ingress.ok_or_else(missing)?,
            egress: addresses.egress.ok_or_else(missing)?,
            admin: addresses.admin.ok_or_else(missing)?,
            crm,
            issuer,
            partner,
            tokens,
            contract,
            folder,
            server,
            _sites: sites,
        })
    }

    /// Stops the gateway as SIGTERM would, and removes every file.
    pub(super) async fn stop(self) {
        let Self { server, folder, .. } = self;
        server.drain().await;
        drop(folder);
    }

    /// Fetches a token from the issuer, as any OAuth client does.
    pub(super) async fn token(&self, client: &str, scope: &str) -> Result<String, ClientError> {
        let secret = self.issuer.secret().expose();
        let form = format!("grant_type=client_credentials&client_id={client}&client_secret={secret}&scope={scope}");
        let call = DemoRequest::post(self.issuer_at, "/token", "application/x-www-form-urlencoded", form);
        let reply = call.finish(&self.clock).await?;
        Ok(reply.json()["access_token"].as_str().unwrap_or_default().to_owned())
    }

    /// Signs a token with another age or lifetime than `/token` gives.
    pub(super) fn token_with_age(&self, age: Duration, lifetime: Duration) -> Result<String, SigningError> {
        self.issuer.sign(DemoGrant { client: ACME, scope: "customers:read", age, lifetime })
    }

    /// Sends an order as an operator.
    pub(super) async fn order(
        &self,
        operator: &Secret<String>,
        target: &str,
        reason: &str,
    ) -> Result<DemoReply, ClientError> {
        let body = serde_json::json!({ "reason": reason }).to_string();
        DemoRequest::post(self.admin, target, "application/json", body)
            .bearer(operator.expose())
            .finish(&self.clock)
            .await
    }
}

async fn start(folder: &DemoFolder) -> Result<(Server, Arc<Contract>), DemoError> {
    let main = folder.main();
    let loader =
        ConfigLoader { environment: &|_| None, missing_secrets: FaultSeverity::Fault, now: UnixTime::default() };
    let config = loader.load(&main).map_err(DemoError::Config)?.config;
    let acme = config.contracts.iter().find(|contract| contract.vendor.as_str() == "acme-analytics");
    let contract = Arc::clone(acme.ok_or(DemoError::Listener)?);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let options = ServerOptions { main, workers, exchange_log: ExchangeLog::off() };
    let server = Server::start(config, options).await.map_err(DemoError::Start)?;
    Ok((server, contract))
}

/// The clients' secret at the issuer.
fn secret() -> Result<Secret<String>, DemoError> {
    let mut random = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| DemoError::Random)?;
    Ok(Secret::new(format!("demo-{:032x}", u128::from_le_bytes(random))))
}

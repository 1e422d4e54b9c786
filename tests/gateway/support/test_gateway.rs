//! A gateway inside the test's own process: the server on its own thread and runtime.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use vendorgate::internals::config::{ConfigLoader, FaultSeverity};
use vendorgate::internals::listener::PassedSockets;
use vendorgate::internals::model::Clock;
use vendorgate::internals::server::{ListenAddresses, Server, ServerOptions};
use vendorgate::internals::telemetry::ExchangeLog;
use vendorgate::internals::telemetry::log::LogFormat;

use super::client::{self, Answer};
use super::fixture::GatewayFixture;

/// A running gateway; dropping it drains it.
pub(crate) struct TestGateway {
    pub(crate) fixture: GatewayFixture,
    pub(crate) addresses: ListenAddresses,
    lines: LogBuffer,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The output of the exchange log.
#[derive(Clone, Default)]
pub(crate) struct LogBuffer(Arc<Mutex<Vec<u8>>>);

impl TestGateway {
    /// Starts a gateway in a fixture.
    pub(crate) fn start(fixture: GatewayFixture) -> Self {
        Self::start_at(fixture, Clock::system())
    }

    /// Starts a gateway that lives by this clock.
    pub(crate) fn start_at(fixture: GatewayFixture, clock: Clock) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let lines = LogBuffer::default();
        let (main, theirs) = (fixture.main(), lines.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let loader = ConfigLoader {
                    environment: &|_| None,
                    missing_secrets: FaultSeverity::Fault,
                    now: Clock::system().now().wall,
                };
                let config = loader.load(&main).unwrap_or_else(|faults| panic!("{faults}")).config;
                let exchange_log = ExchangeLog::start(LogFormat::Json, theirs).expect("a log");
                let sockets = PassedSockets::default();
                let options = ServerOptions { main, workers: 2, exchange_log, clock, sockets };
                let server = Server::start(config, options).await.unwrap_or_else(|error| panic!("{error:?}"));
                tell.send(server.addresses()).expect("somebody waits");
                let _ = stopped.await;
                server.drain().await;
            });
        });
        let addresses = told.recv().expect("the gateway starts");
        Self { fixture, addresses, lines, stop: Some(stop), thread: Some(thread) }
    }

    /// A gateway with the one vendor `acme`.
    pub(crate) fn of_acme(crm: SocketAddr, terms: &str) -> Self {
        Self::start(GatewayFixture::of_acme(crm, terms))
    }

    /// The address that vendors call.
    pub(crate) fn ingress(&self) -> SocketAddr {
        self.addresses.ingress.expect("an ingress listener")
    }

    /// The address that our services call.
    pub(crate) fn egress(&self) -> SocketAddr {
        self.addresses.egress.expect("an egress listener")
    }

    /// A vendor's `GET` on a connection of its own.
    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        client::get(self.ingress(), path, token)
    }

    /// An operator's call.
    pub(crate) fn admin(&self, role: &str, method: &str, path: &str, body: &str) -> Answer {
        client::admin(self.addresses.admin.expect("an admin listener"), self.fixture.operator(role), method, path, body)
    }

    /// The value of a series in the metrics, by its family and labels; the labels may be in any order.
    pub(crate) fn metric(&self, family: &str, labels: &[&str]) -> Option<u64> {
        self.sample(family, labels).map(|value| value as u64)
    }

    /// The value of a series, written as the metrics write it; zero where the series does not exist.
    pub(crate) fn series(&self, series: &str) -> f64 {
        let (family, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
        self.sample(family, &labels).unwrap_or_default()
    }

    fn sample(&self, family: &str, labels: &[&str]) -> Option<f64> {
        let text = self.admin("viewer", "GET", "/metrics", "").text();
        let is_it = |line: &&str| {
            line.split(['{', ' ']).next() == Some(family) && labels.iter().all(|label| line.contains(label))
        };
        text.lines().find(is_it)?.rsplit(' ').next()?.parse().ok()
    }

    /// Requests of `acme` in flight.
    pub(crate) fn in_flight(&self) -> u64 {
        let of = |direction| self.metric("vendorgate_in_flight", &[r#"vendor="acme""#, direction]).expect("a series");
        of(r#"direction="ingress""#) + of(r#"direction="egress""#)
    }

    /// The output of the exchange log so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8(self.lines.0.lock().expect("no panic").clone()).expect("text")
    }

    /// The folder of a gateway that has stopped.
    pub(crate) fn into_fixture(mut self) -> GatewayFixture {
        self.begin_drain();
        let empty = GatewayFixture::new("127.0.0.1:1".parse().expect("an address"));
        std::mem::replace(&mut self.fixture, empty)
    }

    /// Begins the drain without waiting for it.
    pub(crate) fn begin_drain(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Whether the drain is over.
    pub(crate) fn is_drained(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        self.begin_drain();
    }
}

impl Write for LogBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

//! Health checks: each target is asked off the path of requests whether it is well.
//!
//! A check holds nothing of anybody's traffic and goes without a permit, so whoever runs it asks first whether the
//! vendor is killed. It has a connection of its own, to an address that was checked as for any request.

use std::pin::pin;
use std::sync::Arc;

use ::http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use ::http::{HeaderValue, Request, StatusCode, request};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::HttpProtocol;
use super::balance::spread;
use super::connect::{AlpnOffer, UpstreamStream};
use super::group::UpstreamGroup;
use super::group_settings::HealthCheckSettings;
use crate::bounds;
use crate::model::Moment;

/// A question that is due to one target.
#[derive(Debug)]
pub struct HealthCheck {
    group: Arc<UpstreamGroup>,
    index: usize,
}

impl UpstreamGroup {
    /// Whether its targets are asked how they are.
    pub fn is_checked(&self) -> bool {
        self.check_settings().is_some()
    }

    /// The checks that are due. Each is handed out once.
    pub fn due_checks(self: &Arc<Self>, now: Moment) -> Vec<HealthCheck> {
        let Some(settings) = self.check_settings() else { return Vec::new() };
        let interval_ns = u64::try_from(settings.interval.as_nanos()).unwrap_or(u64::MAX);
        let due = |index: &usize| {
            // Up to a fifth early, so that gateways that were started together do not ask together.
            let early = spread(now.monotonic_ns ^ *index as u64) % (interval_ns / 5).max(1);
            self.targets[*index].checked.takes_turn(now, interval_ns - early)
        };
        let check = |index| HealthCheck { group: Arc::clone(self), index };
        (0..self.targets.len()).filter(due).map(check).collect()
    }

    fn check_settings(&self) -> Option<&HealthCheckSettings> {
        self.control.as_ref()?.settings.check.as_ref()
    }
}

impl HealthCheck {
    /// Asks the target and takes in what it says.
    pub async fn run(self) {
        let Some(settings) = self.group.check_settings() else { return };
        let Some(_socket) = self.group.sockets.take() else { return };
        let status = tokio::time::timeout(settings.deadline, self.ask(settings)).await.ok().flatten();
        let good = status.is_some_and(|status| settings.statuses.contains(&status.as_u16()));
        let target = &self.group.targets[self.index];
        if let Some(healthy) = target.checked.found(good, settings) {
            let (upstream, target) = (self.group.host(), target.url.authority());
            let answer = status.map_or("none".to_owned(), |status| status.as_u16().to_string());
            tracing::warn!(?upstream, target, healthy, answer, "health check");
        }
    }

    /// The status of the answer; `None` where there is none.
    async fn ask(&self, settings: &HealthCheckSettings) -> Option<StatusCode> {
        let prober = &self.group.targets[self.index].prober;
        let offer = match self.group.protocol {
            HttpProtocol::Http2 => AlpnOffer::Http2,
            HttpProtocol::Auto | HttpProtocol::Http1 => AlpnOffer::Nothing,
        };
        let (stream, is_http2) = prober.connect(offer).await.ok()?;
        match is_http2 {
            true => self.ask_http2(stream, format!("{}{}", prober.base(), settings.path)).await,
            false => self.ask_http1(stream, format!("{}{}", self.group.base_path(), settings.path)).await,
        }
    }

    async fn ask_http1(&self, stream: UpstreamStream, target: String) -> Option<StatusCode> {
        let builder = http1::Builder::new().max_buf_size(bounds::UPSTREAM_BUFFER_BYTES_MAX).to_owned();
        let (mut requests, connection) = builder.handshake(TokioIo::new(stream)).await.ok()?;
        let request = question(target).header(HOST, self.group.host()).header(CONNECTION, "close");
        let request = request.body(Empty::<Bytes>::new()).ok()?;
        let (mut answer, connection) = (pin!(requests.send_request(request)), pin!(connection));
        let answer = tokio::select! {
            answer = &mut answer => answer,
            // Its last act may have been to hand the answer on.
            _ = connection => answer.await,
        };
        Some(answer.ok()?.status())
    }

    async fn ask_http2(&self, stream: UpstreamStream, target: String) -> Option<StatusCode> {
        let (mut requests, connection) = h2::client::handshake(stream).await.ok()?;
        let (answer, _) = requests.send_request(question(target).body(()).ok()?, true).ok()?;
        tokio::select! {
            answer = answer => Some(answer.ok()?.status()),
            _ = connection => None,
        }
    }
}

/// The head of the question, in the version that is spoken.
fn question(target: String) -> request::Builder {
    let agent = HeaderValue::from_static(concat!("vendorgate-health/", env!("CARGO_PKG_VERSION")));
    Request::get(target).header(USER_AGENT, agent).header(ACCEPT, "*/*")
}

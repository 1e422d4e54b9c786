//! The credential by which a vendor knows us, in a request on its way out.
//!
//! What the calling service has sent in its place is removed before anything else may see it; the credential itself is
//! given last of all, over what really leaves, and only on the way to the vendor's own upstream. A request that the
//! vendor refuses with 401 is sent once more where there is another credential, and never after a 403: that says who
//! may do something, not who we are. The response loses every field that repeats the credential.

use std::sync::Arc;

use ::http::header::{AUTHORIZATION, HeaderMap};
use ::http::{Request, Response, StatusCode, Uri};
use bytes::Bytes;
use http_body::Body as _;

use super::admission::Admitted;
use super::replay::Replay;
use super::send::send;
use super::target::HeadCounts;
use crate::credentials::{CredentialTrace, CredentialedHead, ExchangeSubject, ObtainedCredential, VendorCredential};
use crate::http::GatewayBody;
use crate::model::{Denial, Secret};
use crate::upstream::{TargetLease, UpstreamBody};

/// A request that is still to be given its credential.
#[derive(Debug)]
pub(super) struct CredentialedRequest {
    credential: Arc<VendorCredential>,
    /// The token of the calling service, where that is exchanged.
    subject: Option<ExchangeSubject>,
    /// The whole body, where it is signed and small enough to be held.
    pub(super) body: Option<Bytes>,
}

impl CredentialedRequest {
    /// Of a request as it came; `None` where its route has no credential.
    pub(super) fn new(admitted: &Admitted, headers: &HeaderMap) -> Option<Self> {
        let credential = Arc::clone(admitted.route().credential.as_ref()?);
        let token = credential.reads_callers_token().then(|| bearer(headers)).flatten();
        let client = || admitted.record().client().cloned();
        let subject = token.map(|token| ExchangeSubject { token, client: client() });
        Some(Self { credential, subject, body: Some(Bytes::new()) })
    }

    /// Whether the body is signed.
    pub(super) fn signs_body(&self) -> bool {
        self.credential.signs_body()
    }

    /// Removes what stands in the place of the credential.
    pub(super) fn strip(&self, headers: &mut HeaderMap, target: &mut Uri) {
        let settings = self.credential.settings();
        settings.strip_headers(headers);
        if let Some(stripped) = settings.strip_query(target) {
            *target = stripped;
        }
    }

    /// Sends the request with its credential, and once more with another one where the vendor refuses the first.
    pub(super) async fn send(
        self,
        worker: usize,
        admitted: &mut Admitted,
        request: Request<GatewayBody>,
        counts: HeadCounts,
    ) -> Result<(Response<UpstreamBody>, TargetLease), Denial> {
        let obtained = self.obtain(admitted).await?;
        // A connection that may become another protocol is not replayed.
        let (replay, mut request) = match admitted.is_websocket() {
            true => (None, request),
            false => {
                let (replay, request) = Replay::arm(request);
                (Some(replay), request)
            }
        };
        let trace = self.apply(&obtained, &mut request, admitted)?;
        let (mut response, lease) = send(worker, admitted, request, Some(counts)).await?;
        let Some((again, renewed)) = self.another(&response, replay, &obtained, admitted).await else {
            trace.remove_echoes(response.headers_mut());
            admitted.keep_traces([trace].into());
            return Ok((response, lease));
        };
        let mut request = again;
        let traces: Box<[_]> = [trace, self.apply(&renewed, &mut request, admitted)?].into();
        // The body of the refusal is not read, unless it has none: its connection or stream is reset.
        if response.body().is_end_stream() && admitted.is_request_done() {
            lease.release(admitted.record().gateway.clock.now());
        } else {
            drop(lease);
        }
        drop(response);
        if let Some(reason) = admitted.cut_reason() {
            return Err(Denial::new(reason, "severed before the request was sent again"));
        }
        let (mut response, lease) = send(worker, admitted, request, None).await?;
        traces.iter().for_each(|trace| trace.remove_echoes(response.headers_mut()));
        admitted.keep_traces(traces);
        Ok((response, lease))
    }

    async fn obtain(&self, admitted: &mut Admitted) -> Result<ObtainedCredential, Denial> {
        let since = admitted.record().gateway.clock.now();
        let mut in_flight = admitted.share_in_flight();
        let obtained = tokio::select! {
            biased;
            () = in_flight.severed() => {
                Err(Denial::new(in_flight.sever_reason(), "severed while the vendor's credential was awaited"))
            }
            obtained = self.credential.obtain(self.subject.as_ref()) => obtained.map_err(|error| error.denial()),
        };
        admitted.record_mut().waited(since);
        // A question that a kill has broken off may end before the request learns of that kill.
        match admitted.cut_reason() {
            Some(reason) => Err(Denial::new(reason, "severed before the vendor's credential was given")),
            None => obtained,
        }
    }

    fn apply(
        &self,
        obtained: &ObtainedCredential,
        request: &mut Request<GatewayBody>,
        admitted: &Admitted,
    ) -> Result<CredentialTrace, Denial> {
        let (method, mut uri) = (request.method().clone(), request.uri().clone());
        let head = CredentialedHead { method: &method, uri: &mut uri, headers: request.headers_mut() };
        let now = admitted.record().gateway.clock.now();
        let applied = self.credential.apply(obtained, head, self.body.as_deref(), now);
        let trace = applied.map_err(|error| error.denial())?;
        *request.uri_mut() = uri;
        Ok(trace)
    }

    /// The request again, and another credential, where the vendor has refused this one.
    async fn another(
        &self,
        response: &Response<UpstreamBody>,
        replay: Option<Replay>,
        refused: &ObtainedCredential,
        admitted: &mut Admitted,
    ) -> Option<(Request<GatewayBody>, ObtainedCredential)> {
        let replay = replay.filter(|_| response.status() == StatusCode::UNAUTHORIZED)?;
        let since = admitted.record().gateway.clock.now();
        let mut in_flight = admitted.share_in_flight();
        let renewed = tokio::select! {
            biased;
            () = in_flight.severed() => None,
            renewed = self.credential.renew(refused) => renewed,
        };
        admitted.record_mut().waited(since);
        Some((replay.again()?, renewed?))
    }
}

/// The bearer token that a service has sent; `None` where it has sent none, or more than one.
fn bearer(headers: &HeaderMap) -> Option<Secret<String>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| Secret::new(token.to_owned()))
}

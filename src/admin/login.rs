//! Opens and ends sessions of the dashboard: an operator's token is given once, and the page keeps no copy of it.

use http::{HeaderValue, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::AdminApi;
use super::control::{Actor, AdminControl, ControlError, ControlFuture};
use super::endpoint::{Endpoint, EndpointSpec, GatewayCall, OrderBody, read_order, schema};
use super::guard::CallProof;
use super::problem::AdminError;
use super::reload::EmptyBody;
use super::reply::{self, AdminReply};
use super::sessions::{self, SessionOwner};
use crate::config::OperatorRole;
use crate::model::{UnixTime, debug_fields};

/// Who is asking, and for how long they will be known.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionReport {
    /// The operator's name.
    pub operator: String,
    /// The operator's role.
    pub role: String,
    /// When the session ends at the latest; left out where the call was made by a token or over the Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<UnixTime>,
    /// Of a session that was just opened: what its page must send as `X-Vendorgate-Session`, beside the cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

// Without the key.
debug_fields!(SessionReport: operator, role, ends);

/// What is kept of sessions beside the sessions themselves.
pub trait LoginControl {
    /// Audits that an operator opened a session of the dashboard.
    fn logged_in(&self, actor: &Actor) -> impl ControlFuture<()>;

    /// Audits that an operator ended one.
    fn logged_out(&self, actor: &Actor) -> impl ControlFuture<()>;
}

impl<C: AdminControl> AdminApi<C> {
    pub(super) const LOGIN: &'static [Endpoint<C>] = &[
        EndpointSpec::get("/v1/session", "Who is asking, and by what role")
            .answers(&[schema::<SessionReport>])
            .on_gateway(OperatorRole::Viewer, |api, call| {
                Box::pin(async move { Ok(reply::json(&api.session_report(&call))) })
            }),
        EndpointSpec::post(
            "/v1/session",
            "Opens a session of the dashboard for the operator of a token: the answer sets a cookie",
            OrderBody::JsonOrEmpty(schema::<EmptyBody>),
        )
        .answers(&[schema::<SessionReport>])
        .on_gateway(OperatorRole::Viewer, |api, call| {
            Box::pin(async move {
                let EmptyBody {} = read_order(call.body, |_| Ok(()))?;
                api.open_session(&call).await
            })
        }),
        EndpointSpec::post(
            "/v1/session/end",
            "Ends the session of the dashboard that makes the call",
            OrderBody::JsonOrEmpty(schema::<EmptyBody>),
        )
        .answers(&[schema::<SessionReport>])
        .on_gateway(OperatorRole::Viewer, |api, call| {
            Box::pin(async move {
                let EmptyBody {} = read_order(call.body, |_| Ok(()))?;
                api.end_session(&call).await
            })
        }),
    ];

    fn session_report(&self, call: &GatewayCall<'_>) -> SessionReport {
        let now = self.now();
        let ends = match call.proof {
            CallProof::Session(id) => self.sessions.ends_at(&id, now.monotonic_ns, now.wall),
            CallProof::Token(_) | CallProof::Socket => None,
        };
        SessionReport { operator: call.actor.name.clone(), role: call.actor.role.to_string(), ends, key: None }
    }

    async fn open_session(&self, call: &GatewayCall<'_>) -> Result<AdminReply, AdminError> {
        let CallProof::Token(token_sha256) = call.proof else { return Err(AdminError::TokenMissing) };
        if !self.has_page {
            return Err(AdminError::Control(ControlError::NoPage));
        }
        // The trail has it before the secrets leave.
        self.control.logged_in(call.actor).await.map_err(AdminError::Control)?;
        let opened = self.sessions.open(SessionOwner::Token(token_sha256), self.now().monotonic_ns);
        let secrets = opened.map_err(|_| AdminError::Broken)?;
        let key = Some(secrets.key.expose().clone());
        let mut answer = reply::json(&SessionReport { key, ..self.session_report(call) });
        put_cookie(&mut answer, &sessions::set_cookie(&call.head.headers, Some(&secrets.cookie)));
        Ok(answer)
    }

    async fn end_session(&self, call: &GatewayCall<'_>) -> Result<AdminReply, AdminError> {
        let mut answer = reply::json(&SessionReport { ends: None, ..self.session_report(call) });
        if let CallProof::Session(id) = call.proof {
            self.sessions.end(&id);
            // Those of others come back at once; this one's cannot.
            self.live.end_all();
            self.control.logged_out(call.actor).await.map_err(AdminError::Control)?;
        }
        put_cookie(&mut answer, &sessions::set_cookie(&call.head.headers, None));
        Ok(answer)
    }
}

fn put_cookie(answer: &mut AdminReply, cookie: &str) {
    // Names, base64 and digits always make a field value.
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
}

//! Steps 2 to 4: calls that must be refused and must not reach the internal API.

use std::time::Duration;

use http::Method;

use super::super::client::DemoRequest;
use super::{ACME, ONE, Played, READER, Story};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Story<'_, '_> {
    /// Step 2: a token without the scope that the route needs.
    pub(super) async fn scope(&mut self) -> Played {
        let token = self.token(ACME, "customers:read").await?;
        let reply = self.call_refused(self.ask("/v1/exports/customers", &token), READER, "403 scope_missing").await?;
        let challenge = reply.header("www-authenticate");
        let claim = "the answer names what is missing: insufficient_scope, customers:export (RFC 6750)";
        let holds = ["error=\"insufficient_scope\"", "scope=\"customers:export\""].map(|it| challenge.contains(it));
        self.page.check(claim, holds == [true, true], challenge);
        Ok(())
    }

    /// Step 3: tokens that are too old, too long-lived or unsigned.
    pub(super) async fn stale(&mut self) -> Played {
        let old = self.token_with_age(90 * MINUTE, 120 * MINUTE)?;
        let long = self.token_with_age(Duration::ZERO, 30 * DAY)?;
        let unsigned = unsigned(&self.token(ACME, "customers:read").await?);
        for (token, who, outcome) in [
            (&old, "token issued 90 minutes ago, for two hours", "401 token_age"),
            (&long, "token issued just now, for 30 days", "401 token_lifetime"),
            (&unsigned, "token that says it needs no signature", "401 token_malformed"),
        ] {
            self.call_refused(self.ask("/v1/customers?limit=1", token), who, outcome).await?;
        }
        Ok(())
    }

    /// Step 4: a method and a path that the contract does not list.
    pub(super) async fn route(&mut self) -> Played {
        let token = self.token(ACME, "customers:read").await?;
        for (method, target) in [(Method::DELETE, ONE), (Method::GET, "/v1/payroll")] {
            let ask = DemoRequest::new(method, self.stage.ingress, target).bearer(&token);
            self.call_refused(ask, READER, "403 route_unknown").await?;
        }
        Ok(())
    }
}

/// A good token with its signature removed and a header that asks for no check of it.
fn unsigned(token: &str) -> String {
    let payload = token.split('.').nth(1).unwrap_or_default();
    // {"alg":"none","typ":"at+jwt"}
    format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{payload}.")
}

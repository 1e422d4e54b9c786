//! Steps 2 to 4: calls that must be refused and must not reach the internal API.

use std::time::Duration;

use super::super::client::DemoRequest;
use super::super::page::DemoPage;
use super::super::stage::{ACME, DemoStage};
use super::{StoryError, call, check_refused};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Step 2: a token without the scope that the route needs.
pub(super) async fn scope(stage: &DemoStage, page: &mut DemoPage<'_>) -> Result<(), StoryError> {
    let token = stage.token(ACME, "customers:read").await?;
    let before = stage.crm.requests();
    let target = "/v1/exports/customers";
    let ask = DemoRequest::get(stage.ingress, target).bearer(&token);
    let reply = call(stage, page, ask, "acme-batch, customers:read").await?;
    check_refused(page, &reply, "403 scope_missing", &stage.crm, before);
    let challenge = reply.header("www-authenticate");
    let claim = "the answer names what is missing: insufficient_scope, customers:export (RFC 6750)";
    let holds = challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"customers:export\"");
    page.check(claim, holds, challenge);
    Ok(())
}

/// Step 3: tokens that are too old, too long-lived or unsigned.
pub(super) async fn stale(stage: &DemoStage, page: &mut DemoPage<'_>) -> Result<(), StoryError> {
    let target = "/v1/customers?limit=1";
    let old = stage.token_with_age(90 * MINUTE, 120 * MINUTE)?;
    let long = stage.token_with_age(Duration::ZERO, 30 * DAY)?;
    let unsigned = unsigned(&stage.token(ACME, "customers:read").await?);
    for (token, who, outcome) in [
        (&old, "token issued 90 minutes ago, for two hours", "401 token_age"),
        (&long, "token issued just now, for 30 days", "401 token_lifetime"),
        (&unsigned, "token that says it needs no signature", "401 token_malformed"),
    ] {
        let before = stage.crm.requests();
        let ask = DemoRequest::get(stage.ingress, target).bearer(token);
        let reply = call(stage, page, ask, who).await?;
        check_refused(page, &reply, outcome, &stage.crm, before);
    }
    Ok(())
}

/// Step 4: a method and a path that the contract does not list.
pub(super) async fn route(stage: &DemoStage, page: &mut DemoPage<'_>) -> Result<(), StoryError> {
    let token = stage.token(ACME, "customers:read").await?;
    let one = "/v1/customers/cus_000014";
    for ask in [DemoRequest::delete(stage.ingress, one), DemoRequest::get(stage.ingress, "/v1/payroll")] {
        let before = stage.crm.requests();
        let reply = call(stage, page, ask.bearer(&token), "acme-batch, customers:read").await?;
        check_refused(page, &reply, "403 route_unknown", &stage.crm, before);
    }
    Ok(())
}

/// A good token with its signature removed and a header that asks for no check of it.
fn unsigned(token: &str) -> String {
    let payload = token.split('.').nth(1).unwrap_or_default();
    // {"alg":"none","typ":"at+jwt"}
    format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{payload}.")
}

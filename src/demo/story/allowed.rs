//! Step 1: an allowed call, and what the gateway changes in its answer.

use std::sync::LazyLock;

use serde_json::Value;

use super::super::client::DemoRequest;
use super::super::diff;
use super::super::page::DemoPage;
use super::super::stage::{ACME, DemoStage};
use super::{StoryError, call};
use crate::model::{decimal_bytes, milliseconds};
use crate::pii::Rules;

const LIST: &str = "/v1/customers?limit=3&after=cus_000013";
const WHO: &str = "acme-batch, customers:read";

pub(super) async fn play(stage: &DemoStage, page: &mut DemoPage<'_>) -> Result<(), StoryError> {
    let token = stage.token(ACME, "customers:read").await?;
    let raw = DemoRequest::get(stage.crm_at, LIST).finish(&stage.clock).await?;
    let ask = || DemoRequest::get(stage.ingress, LIST).bearer(&token);
    let treated = call(stage, page, ask(), WHO).await?;
    let (before, after) = (raw.json(), treated.json());
    let claim = format!(
        "allowed: 3 records, {}, {}",
        decimal_bytes(treated.body.len() as u64),
        milliseconds(treated.took_micros)
    );
    page.answer(treated.status, &claim);
    let (first, first_treated) = (&before["customers"][0], &after["customers"][0]);
    let rules = rules(stage, "/v1/customers");
    page.remark("the first of them, as the CRM has it (-) and as the vendor gets it (+)");
    let changed = diff::show(page, rules, "$.customers[*]", first, first_treated);
    page.check("9 of its fields changed or left out, all others as they were", changed == 9, changed);
    let count = after["customers"].as_array().map_or(0, Vec::len);
    page.check("all 3 records arrived", treated.whole && count == 3, count);
    let leaked = diff::leaked(rules, &before, &treated.body);
    page.check("no raw value of any of the 3 is in what arrived", leaked.is_empty(), leaked.join(", "));
    again(stage, page, &token, &treated.body).await?;
    one(stage, page, &token).await
}

/// Treatment is deterministic: the vendor can join what it got before with what it gets now.
async fn again(stage: &DemoStage, page: &mut DemoPage<'_>, token: &str, first: &[u8]) -> Result<(), StoryError> {
    let reply = DemoRequest::get(stage.ingress, LIST).bearer(token).finish(&stage.clock).await?;
    let claim = "asked again, every token, hash and card is the same: the vendor can still join its tables";
    page.check(claim, reply.body == first, "something else");
    Ok(())
}

/// Calls a route whose contract lists the only fields that may pass.
async fn one(stage: &DemoStage, page: &mut DemoPage<'_>, token: &str) -> Result<(), StoryError> {
    let target = "/v1/customers/cus_000014";
    let reply = call(stage, page, DemoRequest::get(stage.ingress, target).bearer(token), WHO).await?;
    page.answer(reply.status, &format!("allowed: {}", String::from_utf8_lossy(&reply.body)));
    let names: Vec<String> = match reply.json() {
        Value::Object(members) => members.keys().cloned().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Vec::new(),
    };
    let claim = "a route can list what may pass: id, country, segment, and nothing that is added one day";
    page.check(claim, names == ["id", "country", "segment"], names.join(", "));
    Ok(())
}

/// The rules for the answer of an ingress route.
fn rules<'a>(stage: &'a DemoStage, path: &str) -> &'a Rules {
    static NONE: LazyLock<Rules> = LazyLock::new(Rules::default);
    let found = stage.contract.ingress.find(&http::Method::GET, path);
    found.map_or(&NONE, |(_, route, _)| &route.response)
}

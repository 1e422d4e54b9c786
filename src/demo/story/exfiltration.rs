//! Step 5: a good token asks for everything.

use std::time::Duration;

use super::super::client::DemoRequest;
use super::super::page::DemoPage;
use super::super::people::{CUSTOMERS, customer};
use super::super::stage::{ACME, DemoStage};
use super::metrics::ScrapedMetrics;
use super::{StoryError, call};
use crate::model::{decimal_bytes, milliseconds, thousands};

const TARGET: &str = "/v1/customers?limit=50000";
const WHO: &str = "acme-batch, customers:read";
/// Longest wait until the budget is free again: its window and a margin.
const WAIT_MAX: Duration = Duration::from_secs(6);

pub(super) async fn play(stage: &DemoStage, page: &mut DemoPage<'_>) -> Result<(), StoryError> {
    let token = stage.token(ACME, "customers:read").await?;
    let budget = stage.contract.limits.ingress.records.as_ref().map_or(0, |records| records.budget.get());
    let before = records(stage).await?;
    let reply = call(stage, page, DemoRequest::get(stage.ingress, TARGET).bearer(&token), WHO).await?;
    let arrived = occurrences(&reply.body, b"\"id\":\"cus_");
    let (size, took) = (decimal_bytes(reply.body.len() as u64), milliseconds(reply.took_micros));
    page.answer(reply.status, &format!("allowed, and streaming: {size} in {took}"));
    page.remark(format!("{} {} of {} records", bar(arrived, CUSTOMERS), thousands(arrived), thousands(CUSTOMERS)));
    page.check("the response was cut, and looks cut: it breaks off without an end", !reply.whole, "it ended well");
    let expected = budget.saturating_sub(before)..=budget;
    let claim =
        format!("the budget is {} in 3 s: with the {before} from before, not one more has left", thousands(budget));
    page.check(&claim, expected.contains(&arrived), format!("{arrived} arrived"));
    let leaked = (1..=arrived).step_by(50).map(customer).filter(|raw| occurrences(&reply.body, raw.ssn.as_bytes()) > 0);
    let leaked = leaked.count() as u64 + occurrences(&reply.body, b".example\"");
    page.check("and what did leave holds no mail address and no SSN", leaked == 0, leaked);
    refused_until(stage, page, &token).await
}

/// The spent budget refuses the next call, and is free again after Retry-After.
async fn refused_until(stage: &DemoStage, page: &mut DemoPage<'_>, token: &str) -> Result<(), StoryError> {
    let target = "/v1/customers?limit=1";
    let ask = || DemoRequest::get(stage.ingress, target).bearer(token);
    let reply = call(stage, page, ask(), WHO).await?;
    let retry_after: Option<u64> = reply.header("retry-after").parse().ok();
    let holds = reply.outcome() == "429 records_exceeded" && retry_after.is_some_and(|secs| (1..=4).contains(&secs));
    let got = format!("{}, {retry_after:?}", reply.outcome());
    page.check("the next one is refused with 429 records_exceeded and Retry-After", holds, got);
    let wait = Duration::from_secs(retry_after.unwrap_or(1)).min(WAIT_MAX);
    page.remark(format!("waiting as told: {} s", wait.as_secs()));
    tokio::time::sleep(wait).await;
    let reply = call(stage, page, ask(), WHO).await?;
    page.answer(reply.status, "allowed");
    page.check("after that the vendor works on as before", reply.status == 200 && reply.whole, reply.status);
    Ok(())
}

/// How many records have left to the vendor so far.
async fn records(stage: &DemoStage) -> Result<u64, StoryError> {
    let metrics = ScrapedMetrics::read(stage).await?;
    Ok(metrics.sum("vendorgate_records_total", &["vendor=\"acme-analytics\"", "direction=\"ingress\""]))
}

pub(super) fn occurrences(body: &[u8], what: &[u8]) -> u64 {
    memchr::memmem::find_iter(body, what).count() as u64
}

fn bar(part: u64, whole: u64) -> String {
    const WIDTH: u64 = 40;
    let full = (part * WIDTH).div_ceil(whole.max(1)).min(WIDTH);
    format!("{}{}", "█".repeat(full as usize), "░".repeat((WIDTH - full) as usize))
}

//! Step 7: four downloads are cut by one command.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::task::JoinHandle;

use super::super::client::{DemoReply, DemoRequest, next_piece};
use super::super::page::DemoPage;
use super::super::stage::{ACME, DemoStage, SWIFT};
use super::exfiltration::occurrences;
use super::{StoryError, call};
use crate::model::{milliseconds, thousands};

const EXPORT: &str = "/v1/exports/customers";
const KILL: &str = "/v1/vendors/acme-analytics/kill";
const RESTORE: &str = "/v1/vendors/acme-analytics/restore";
/// How many records each download must have received before it is cut.
const RECORDS_BEFORE: u64 = 5;
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const POLLS_MAX: u32 = 500;

/// A download under way.
struct DemoDownload {
    records: Arc<AtomicU64>,
    /// Returns whether the body came to its end.
    whole: JoinHandle<bool>,
}

pub(super) async fn play(stage: &DemoStage, page: &mut DemoPage<'_>) -> Result<(), StoryError> {
    let token = stage.token(ACME, "customers:read+customers:export").await?;
    let mut downloads = Vec::new();
    for http2 in [false, false, true, true] {
        downloads.push(download(stage, &token, http2).await?);
    }
    page.call(&format!("GET {EXPORT}, 2 x HTTP/1.1 and 2 x HTTP/2"), "acme-batch, customers:export");
    let flowing = all_flow(&downloads).await;
    page.answer(StatusCode::OK, "allowed: four slow downloads are under way");
    page.check("records arrive on all four", flowing, records(&downloads));
    kill(stage, page, downloads).await?;
    while_killed(stage, page, &token).await?;
    restore(stage, page, &token).await
}

async fn download(stage: &DemoStage, token: &str, http2: bool) -> Result<DemoDownload, StoryError> {
    let ask = DemoRequest::get(stage.ingress, EXPORT).bearer(token);
    let mut opened = if http2 { ask.over_http2() } else { ask }.open().await?;
    let records = Arc::new(AtomicU64::new(0));
    let arrived = Arc::clone(&records);
    let whole = tokio::spawn(async move {
        loop {
            match next_piece(&mut opened).await {
                Some(Ok(piece)) => drop(arrived.fetch_add(occurrences(&piece, b"\"id\":"), Ordering::Relaxed)),
                Some(Err(_)) => return false,
                None => return true,
            }
        }
    });
    Ok(DemoDownload { records, whole })
}

async fn all_flow(downloads: &[DemoDownload]) -> bool {
    for _ in 0..POLLS_MAX {
        if downloads.iter().all(|download| download.records.load(Ordering::Relaxed) >= RECORDS_BEFORE) {
            return true;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    false
}

fn records(downloads: &[DemoDownload]) -> String {
    let each: Vec<String> = downloads.iter().map(|one| one.records.load(Ordering::Relaxed).to_string()).collect();
    each.join(", ")
}

async fn kill(stage: &DemoStage, page: &mut DemoPage<'_>, downloads: Vec<DemoDownload>) -> Result<(), StoryError> {
    page.call(&format!("POST {KILL}"), "olga, operator");
    let reply = stage.order(&stage.tokens.operator, KILL, "downloads at night").await?;
    let answer = reply.json();
    let number = |name: &str| answer[name].as_u64().unwrap_or_default();
    let (severed, micros) = (number("severed"), number("sever_micros"));
    let claim = format!(
        "killed: {severed} severed in {} µs; on disk and answered in {}",
        thousands(micros),
        milliseconds(reply.took_micros)
    );
    page.answer(reply.status, &claim);
    let holds = reply.status == 200 && answer["state"] == "killed" && answer["persisted"] == true;
    page.check("the kill is in force, and on disk before the answer", holds, &answer);
    page.check("it says that it severed all four", severed == 4, severed);
    let each = records(&downloads);
    let mut whole = 0;
    for download in downloads {
        let ended = tokio::time::timeout(POLL_INTERVAL * POLLS_MAX, download.whole).await;
        whole += u32::from(!matches!(ended, Ok(Ok(false))));
    }
    let claim = format!("every download broke off, visibly, after {each} of 50,000 records");
    page.check(&claim, whole == 0, format!("{whole} did not"));
    Ok(())
}

async fn while_killed(stage: &DemoStage, page: &mut DemoPage<'_>, token: &str) -> Result<(), StoryError> {
    let target = "/v1/customers/cus_000014";
    let ask = DemoRequest::get(stage.ingress, target).bearer(token);
    let reply = call(stage, page, ask, "acme-batch").await?;
    let is_killed = |reply: &DemoReply| reply.outcome() == "403 vendor_killed";
    page.check("the next call is refused: 403 vendor_killed", is_killed(&reply), reply.outcome());
    let egress = DemoRequest::post(stage.egress, "/acme-analytics/v2/events", "application/json", "{}");
    let reply = egress.finish(&stage.clock).await?;
    page.check("and so is what our own services would send it", is_killed(&reply), reply.outcome());
    let other = stage.token(SWIFT, "customers:read").await?;
    let ask = DemoRequest::get(stage.ingress, target).bearer(&other);
    let reply = call(stage, page, ask, "swift-hub, another vendor").await?;
    page.answer(reply.status, &format!("allowed: {}", String::from_utf8_lossy(&reply.body)));
    page.check("another vendor feels nothing of it", reply.status == 200 && reply.whole, reply.status);
    Ok(())
}

async fn restore(stage: &DemoStage, page: &mut DemoPage<'_>, token: &str) -> Result<(), StoryError> {
    let tokens = &stage.tokens;
    for (operator, who, status) in [(&tokens.operator, "olga, operator", 403), (&tokens.admin, "adam, admin", 200)] {
        page.call(&format!("POST {RESTORE}"), who);
        let reply = stage.order(operator, RESTORE, "spoke to their security team").await?;
        let allowed = reply.status == 200;
        page.answer(reply.status, if allowed { "restored" } else { "an operator may kill, not restore" });
        page.check(&format!("{who}: {status}"), reply.status == status, reply.status);
    }
    let reply = DemoRequest::get(stage.ingress, "/v1/customers/cus_000014").bearer(token).finish(&stage.clock).await?;
    page.check("and the vendor works again", reply.status == 200, reply.status);
    Ok(())
}

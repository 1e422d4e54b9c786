//! Step 8: four downloads are cut by one command.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::task::JoinHandle;

use super::super::client::{DemoReply, DemoRequest, next_piece};
use super::exfiltration::occurrences;
use super::{ACME, ONE, Played, SWIFT, Story};
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

impl Story<'_, '_> {
    pub(super) async fn kill(&mut self) -> Played {
        let token = self.token(ACME, "customers:read+customers:export").await?;
        let mut downloads = Vec::new();
        for http2 in [false, false, true, true] {
            let ask = self.ask(EXPORT, &token);
            downloads.push(DemoDownload::start(if http2 { ask.over_http2() } else { ask }).await?);
        }
        self.page.call(&format!("GET {EXPORT}, 2 x HTTP/1.1 and 2 x HTTP/2"), "acme-batch, customers:export");
        let flowing = all_flow(&downloads).await;
        self.page.answer(StatusCode::OK, "allowed: four slow downloads are under way");
        self.page.check("records arrive on all four", flowing, records(&downloads));
        self.cut(downloads).await?;
        self.while_killed(&token).await?;
        self.restore(&token).await
    }

    async fn cut(&mut self, downloads: Vec<DemoDownload>) -> Played {
        self.page.call(&format!("POST {KILL}"), "olga, operator");
        let reply = self.order(&self.stage.tokens.operator, KILL, "downloads at night").await?;
        let answer = reply.json();
        let number = |name: &str| answer[name].as_u64().unwrap_or_default();
        let (severed, micros, took) = (number("severed"), thousands(number("sever_micros")), reply.took_micros);
        let took = milliseconds(took);
        let claim = format!("killed: {severed} severed in {micros} µs; on disk and answered in {took}");
        self.page.answer(reply.status, &claim);
        let holds = reply.status == 200 && answer["state"] == "killed" && answer["persisted"] == true;
        self.page.check("the kill is in force, and on disk before the answer", holds, &answer);
        self.page.check("it says that it severed all four", severed == 4, severed);
        let each = records(&downloads);
        let mut whole = 0;
        for download in downloads {
            let ended = tokio::time::timeout(POLL_INTERVAL * POLLS_MAX, download.whole).await;
            whole += u32::from(!matches!(ended, Ok(Ok(false))));
        }
        let claim = format!("every download broke off, visibly, after {each} of 50,000 records");
        self.page.check(&claim, whole == 0, format!("{whole} did not"));
        Ok(())
    }

    async fn while_killed(&mut self, token: &str) -> Played {
        let reply = self.call(self.ask(ONE, token), "acme-batch").await?;
        let is_killed = |reply: &DemoReply| reply.outcome() == "403 vendor_killed";
        self.page.check("the next call is refused: 403 vendor_killed", is_killed(&reply), reply.outcome());
        let events = DemoRequest::post_json(self.stage.egress, "/acme-analytics/v2/events", &json!({}));
        let reply = self.send(events).await?;
        self.page.check("and so is what our own services would send it", is_killed(&reply), reply.outcome());
        let other = self.token(SWIFT, "customers:read").await?;
        let reply = self.call(self.ask(ONE, &other), "swift-hub, another vendor").await?;
        self.page.answer(reply.status, &format!("allowed: {}", String::from_utf8_lossy(&reply.body)));
        self.page.check("another vendor feels nothing of it", reply.status == 200 && reply.whole, reply.status);
        Ok(())
    }

    async fn restore(&mut self, token: &str) -> Played {
        let tokens = &self.stage.tokens;
        for (operator, who, status) in [(&tokens.operator, "olga, operator", 403), (&tokens.admin, "adam, admin", 200)]
        {
            self.page.call(&format!("POST {RESTORE}"), who);
            let reply = self.order(operator, RESTORE, "spoke to their security team").await?;
            let allowed = reply.status == 200;
            self.page.answer(reply.status, if allowed { "restored" } else { "an operator may kill, not restore" });
            self.page.check(&format!("{who}: {status}"), reply.status == status, reply.status);
        }
        let reply = self.send(self.ask(ONE, token)).await?;
        self.page.check("and the vendor works again", reply.status == 200, reply.status);
        Ok(())
    }
}

impl DemoDownload {
    async fn start(ask: DemoRequest) -> Played<Self> {
        let mut opened = ask.open().await?;
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
        Ok(Self { records, whole })
    }

    fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }
}

async fn all_flow(downloads: &[DemoDownload]) -> bool {
    for _ in 0..POLLS_MAX {
        if downloads.iter().all(|download| download.records() >= RECORDS_BEFORE) {
            return true;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    false
}

fn records(downloads: &[DemoDownload]) -> String {
    downloads.iter().map(|download| download.records().to_string()).collect::<Vec<_>>().join(", ")
}

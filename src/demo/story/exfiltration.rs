//! Step 5: a good token asks for everything.

use std::time::Duration;

use super::super::people::{CUSTOMERS, customer};
use super::metrics::ScrapedMetrics;
use super::{ACME, Played, READER, Story};
use crate::model::{decimal_bytes, milliseconds, thousands};

/// Longest wait until the budget is free again: its window and a margin.
const WAIT_MAX: Duration = Duration::from_secs(6);

impl Story<'_, '_> {
    pub(super) async fn exfiltration(&mut self) -> Played {
        let token = self.token(ACME, "customers:read").await?;
        let budget = self.stage.contract.limits.ingress.records.as_ref().map_or(0, |records| records.budget.get());
        let counted = ["vendor=\"acme-analytics\"", "direction=\"ingress\""];
        let before = ScrapedMetrics::read(self.stage).await?.sum("vendorgate_records_total", &counted);
        let reply = self.call(self.ask("/v1/customers?limit=50000", &token), READER).await?;
        let arrived = occurrences(&reply.body, b"\"id\":\"cus_");
        let (size, took) = (decimal_bytes(reply.body.len() as u64), milliseconds(reply.took_micros));
        self.page.answer(reply.status, &format!("allowed, and streaming: {size} in {took}"));
        let all = thousands(CUSTOMERS);
        self.page.remark(format!("{} {} of {all} records", bar(arrived, CUSTOMERS), thousands(arrived)));
        self.page.check(
            "the response was cut, and looks cut: it breaks off without an end",
            !reply.whole,
            "it ended well",
        );
        let expected = budget.saturating_sub(before)..=budget;
        let budget = thousands(budget);
        let claim = format!("the budget is {budget} in 3 s: with the {before} from before, not one more has left");
        self.page.check(&claim, expected.contains(&arrived), format!("{arrived} arrived"));
        let has_leaked = |number: &u64| occurrences(&reply.body, customer(*number)["ssn"].to_string().as_bytes()) > 0;
        let leaked =
            (1..=arrived).step_by(50).filter(has_leaked).count() as u64 + occurrences(&reply.body, b".example\"");
        self.page.check("and what did leave holds no mail address and no SSN", leaked == 0, leaked);
        self.refused_for_a_while(&token).await
    }

    /// The spent budget refuses the next call, and is free again after Retry-After.
    async fn refused_for_a_while(&mut self, token: &str) -> Played {
        let target = "/v1/customers?limit=1";
        let reply = self.call(self.ask(target, token), READER).await?;
        let retry_after: Option<u64> = reply.header("retry-after").parse().ok();
        let holds =
            reply.outcome() == "429 records_exceeded" && retry_after.is_some_and(|secs| (1..=4).contains(&secs));
        let got = format!("{}, {retry_after:?}", reply.outcome());
        self.page.check("the next one is refused with 429 records_exceeded and Retry-After", holds, got);
        let wait = Duration::from_secs(retry_after.unwrap_or(1)).min(WAIT_MAX);
        self.page.remark(format!("waiting as told: {} s", wait.as_secs()));
        tokio::time::sleep(wait).await;
        let reply = self.call(self.ask(target, token), READER).await?;
        self.page.answer(reply.status, "allowed");
        self.page.check("after that the vendor works on as before", reply.status == 200 && reply.whole, reply.status);
        Ok(())
    }
}

pub(super) fn occurrences(body: &[u8], what: &[u8]) -> u64 {
    memchr::memmem::find_iter(body, what).count() as u64
}

fn bar(part: u64, whole: u64) -> String {
    const WIDTH: u64 = 40;
    let full = (part * WIDTH).div_ceil(whole.max(1)).min(WIDTH);
    format!("{}{}", "█".repeat(full as usize), "░".repeat((WIDTH - full) as usize))
}

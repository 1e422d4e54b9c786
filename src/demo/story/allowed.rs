//! Step 1: an allowed call, and what the gateway changes in its answer.

use http::Method;

use super::super::client::DemoRequest;
use super::super::diff;
use super::{ACME, ONE, Played, READER, Story};
use crate::model::{Direction, decimal_bytes, milliseconds};

const LIST: &str = "/v1/customers?limit=3&after=cus_000013";

impl Story<'_, '_> {
    pub(super) async fn allowed(&mut self) -> Played {
        let token = self.token(ACME, "customers:read").await?;
        let raw = self.send(DemoRequest::get(self.stage.services.crm_at, LIST)).await?;
        let treated = self.call(self.ask(LIST, &token), READER).await?;
        let (before, after) = (raw.json(), treated.json());
        let (size, took) = (decimal_bytes(treated.body.len() as u64), milliseconds(treated.took_micros));
        self.page.answer(treated.status, &format!("allowed: 3 records, {size}, {took}"));
        self.page.remark("the first of them, as the CRM has it (-) and as the vendor gets it (+)");
        let rules = self.rules(Direction::Ingress, &Method::GET, "/v1/customers")?;
        let (first, first_treated) = (&before["customers"][0], &after["customers"][0]);
        let changed = diff::show(self.page, rules, "$.customers[*]", first, first_treated);
        self.page.check("9 of its fields changed or left out, all others as they were", changed == 9, changed);
        let count = after["customers"].as_array().map_or(0, Vec::len);
        self.page.check("all 3 records arrived", treated.whole && count == 3, count);
        let leaked = diff::leaked(rules, &before, &treated.body);
        self.page.check("no raw value of any of the 3 is in what arrived", leaked.is_empty(), leaked.join(", "));
        // Treatment is deterministic: the vendor can join what it got before with what it gets now.
        let again = self.send(self.ask(LIST, &token)).await?;
        let claim = "asked again, every token, hash and card is the same: the vendor can still join its tables";
        self.page.check(claim, again.body == treated.body, "something else");
        self.listed_fields_alone(&token).await
    }

    /// Calls a route whose contract lists the only fields that may pass.
    async fn listed_fields_alone(&mut self, token: &str) -> Played {
        let reply = self.call(self.ask(ONE, token), READER).await?;
        self.page.answer(reply.status, &format!("allowed: {}", String::from_utf8_lossy(&reply.body)));
        let answer = reply.json();
        let names: Vec<_> = answer.as_object().into_iter().flat_map(|members| members.keys()).collect();
        let claim = "a route can list what may pass: id, country, segment, and nothing that is added one day";
        self.page.check(claim, names == ["id", "country", "segment"], format!("{names:?}"));
        Ok(())
    }
}

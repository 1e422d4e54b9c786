//! Step 6: our own service calls the vendor, through the gateway, by a base URL.

use http::Method;
use serde_json::{Value, json};

use super::super::client::DemoRequest;
use super::super::diff;
use super::super::people::customer;
use super::{Played, Story};
use crate::model::Direction;

const WHO: &str = "our checkout service";

impl Story<'_, '_> {
    pub(super) async fn egress(&mut self) -> Played {
        let (partner, events) = (&self.stage.services.partner, json!({ "events": [event(14), event(15)] }));
        let email = format!("email={}", customer(14)["email"].as_str().unwrap_or_default());
        let target = format!("/acme-analytics/v2/events?{email}");
        let reply = self.call(DemoRequest::post_json(self.stage.egress, &target, &events), WHO).await?;
        self.page.answer(reply.status, "the vendor took it");
        self.page.check("the call reached the vendor", reply.status == 202, reply.status);
        let received = partner.received().pop().unwrap_or_default();
        let line = received.head.lines().next().unwrap_or_default();
        self.page.remark("what our service sent (-), and what the vendor's own server received (+)");
        self.page.minus("query", &email, "hash");
        self.page.plus("query", line.split_once('?').map_or(line, |(_, query)| query));
        let rules = self.rules(Direction::Egress, &Method::POST, "/v2/events")?;
        let body: Value = serde_json::from_slice(&received.body).unwrap_or_default();
        diff::show(self.page, rules, "$.events[*]", &events["events"][0], &body["events"][0]);
        let mut leaked = diff::leaked(rules, &events, &received.body);
        leaked.extend(diff::leaked(rules, &events, received.head.as_bytes()));
        let claim = "no raw value on the vendor's side: not in URL, header or body";
        self.page.check(claim, leaked.is_empty(), leaked.join(", "));
        // A destination that no contract lists.
        let before = partner.received().len();
        let reply = self.call(DemoRequest::post_json(self.stage.egress, "/pastebin/upload", &json!({})), WHO).await?;
        let holds = reply.outcome() == "403 destination_unknown" && partner.received().len() == before;
        let claim = "a destination that no contract lists is refused: 403 destination_unknown";
        self.page.check(claim, holds, reply.outcome());
        Ok(())
    }
}

pub(super) fn event(number: u64) -> Value {
    let customer = customer(number);
    let known = ["id", "name", "email", "phone"].map(|name| (name, customer[name].clone()));
    json!({
        "type": "checkout.completed",
        "customer": Value::from_iter(known),
        "payment": { "card": customer["cards"][0]["number"], "total": 4990 + number },
    })
}

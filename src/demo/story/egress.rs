//! Step 6: our own service calls the vendor, through the gateway.

use serde_json::{Value, json};

use super::super::client::DemoRequest;
use super::super::diff;
use super::super::page::DemoPage;
use super::super::people::customer;
use super::super::stage::DemoStage;
use super::{StoryError, call};
use crate::pii::Rules;

const WHO: &str = "our checkout service";

pub(super) async fn play(stage: &DemoStage, page: &mut DemoPage<'_>) -> Result<(), StoryError> {
    let events = json!({ "events": [event(14), event(15)] });
    let email = customer(14).email;
    let target = format!("/acme-analytics/v2/events?email={email}");
    let ask = DemoRequest::post(stage.egress, &target, "application/json", events.to_string());
    let reply = call(stage, page, ask, WHO).await?;
    page.answer(reply.status, "the vendor took it");
    page.check("the call reached the vendor", reply.status == 202, reply.status);
    let received = stage.partner.received().pop().unwrap_or_default();
    let line = received.head.lines().next().unwrap_or_default();
    page.remark("what our service sent (-), and what the vendor's own server received (+)");
    page.minus("query", &format!("email={email}"), "hash");
    page.plus("query", line.split_once('?').map_or(line, |(_, query)| query));
    let Some(rules) = rules(stage) else {
        page.check("the contract has the route", false, "it does not");
        return Ok(());
    };
    let body: Value = serde_json::from_slice(&received.body).unwrap_or_default();
    diff::show(page, rules, "$.events[*]", &events["events"][0], &body["events"][0]);
    let mut leaked = diff::leaked(rules, &events, &received.body);
    leaked.extend(diff::leaked(rules, &events, received.head.as_bytes()));
    page.check("no raw value on the vendor's side: not in URL, header or body", leaked.is_empty(), leaked.join(", "));
    elsewhere(stage, page).await
}

/// Calls a destination that no contract lists.
async fn elsewhere(stage: &DemoStage, page: &mut DemoPage<'_>) -> Result<(), StoryError> {
    let target = "/pastebin/upload";
    let before = stage.partner.received().len();
    let ask = DemoRequest::post(stage.egress, target, "application/json", "{}");
    let reply = call(stage, page, ask, WHO).await?;
    let holds = reply.outcome() == "403 destination_unknown" && stage.partner.received().len() == before;
    page.check("a destination that no contract lists is refused: 403 destination_unknown", holds, reply.outcome());
    Ok(())
}

fn event(number: u64) -> Value {
    let customer = customer(number);
    json!({
        "type": "checkout.completed",
        "customer": { "id": customer.id, "name": customer.name, "email": customer.email, "phone": customer.phone },
        "payment": { "card": customer.cards.first().map(|card| card.number.clone()), "total": 4990 + number },
    })
}

fn rules(stage: &DemoStage) -> Option<&Rules> {
    let (_, route, _) = stage.contract.egress.find(&http::Method::POST, "/v2/events")?;
    Some(&route.request)
}

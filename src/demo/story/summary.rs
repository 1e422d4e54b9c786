//! Step 8: what has left to the vendor, by the gateway's own counts.

use http::StatusCode;
use serde_json::Value;

use super::super::client::DemoRequest;
use super::super::page::{Colour, DemoPage};
use super::super::stage::DemoStage;
use super::StoryError;
use super::metrics::ScrapedMetrics;
use crate::model::thousands;

const ACME: &str = "vendor=\"acme-analytics\"";
const EXPOSURE: &str = "/v1/exposure?vendor=acme-analytics";

pub(super) async fn play(stage: &DemoStage, page: &mut DemoPage<'_>) -> Result<(), StoryError> {
    let ask = DemoRequest::get(stage.admin, EXPOSURE).bearer(stage.tokens.operator.expose());
    let report = ask.finish(&stage.clock).await?;
    if report.status == 200 {
        page.call(&format!("GET {EXPOSURE}"), "olga, operator");
        exposure(page, &report.json());
    } else {
        page.remark("No exposure report is kept here. The metrics tell how much left on which route, and how treated:");
    }
    let metrics = ScrapedMetrics::read(stage).await?;
    page.call("GET /metrics", "anyone on the admin listener");
    figures(page, &metrics);
    if report.status == 200 {
        check_exposure(page, &report.json(), &metrics);
    }
    checks(page, &metrics);
    Ok(())
}

fn exposure(page: &mut DemoPage<'_>, report: &Value) {
    let number = |value: &Value| thousands(value.as_u64().unwrap_or_default());
    page.answer(StatusCode::OK, &format!("{} records, {} bytes", number(&report["records"]), number(&report["bytes"])));
    for route in report["routes"].as_array().into_iter().flatten() {
        let (name, direction) = (text(&route["route"]), text(&route["direction"]));
        let people = route["subjects"]["about"].as_u64().map(people);
        let records = number(&route["records"]);
        let line = format!("{direction:<8} {name:<30} {records:>9} records {}", people.unwrap_or_default());
        page.line(Colour::Plain, format!("     {line}").trim_end());
        for field in route["treated"].as_array().into_iter().flatten() {
            let (name, treatment) = (text(&field["field"]), text(&field["treatment"]));
            page.remark(format!("           {name:<36} {treatment:<14} {:>8}", number(&field["values"])));
        }
    }
}

/// The exposure report and the metrics count separately, so they must agree. The number of people is an estimate:
/// within a tenth is good enough.
fn check_exposure(page: &mut DemoPage<'_>, report: &Value, metrics: &ScrapedMetrics) {
    let (reported, counted) = (report["records"].as_u64(), metrics.sum("vendorgate_records_total", &[ACME]));
    page.check("the exposure report and the metrics count the same records", reported == Some(counted), counted);
    let people = report["subjects"]["about"].as_u64().unwrap_or_default();
    let holds = people * 10 > counted * 9 && people * 10 < counted * 11;
    page.check("and nearly as many different people as records", holds, people);
}

fn people(about: u64) -> String {
    format!("of about {} {}", thousands(about), if about == 1 { "person" } else { "people" })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn figures(page: &mut DemoPage<'_>, metrics: &ScrapedMetrics) {
    page.answer(StatusCode::OK, "acme-analytics, since the start of the demo");
    for direction in ["ingress", "egress"] {
        let labels = [ACME, &format!("direction=\"{direction}\"")];
        let sum = |family: &str| thousands(metrics.sum(family, &labels));
        let (requests, records) = (sum("vendorgate_requests_total"), sum("vendorgate_records_total"));
        let bytes = sum("vendorgate_bytes_total");
        let line = format!("{direction:<9}{requests:>9} requests {records:>9} records {bytes:>11} bytes left");
        page.line(Colour::Plain, format!("     {line}"));
    }
    list(page, "treated", metrics.by("vendorgate_pii_values_total", &[ACME], "treatment"));
    list(page, "refused", metrics.by("vendorgate_denials_total", &[ACME], "reason"));
    let severed = metrics.sum("vendorgate_severed_total", &[ACME]);
    page.line(Colour::Plain, format!("     {:<9}{severed:>9} in flight", "severed"));
}

fn list(page: &mut DemoPage<'_>, title: &str, mut items: Vec<(String, u64)>) {
    items.sort_by(|(name, number), (other, than)| than.cmp(number).then(name.cmp(other)));
    for (place, (name, number)) in items.iter().enumerate() {
        let title = if place == 0 { title } else { "" };
        page.line(Colour::Plain, format!("     {title:<9}{:>9} {name}", thousands(*number)));
    }
}

fn checks(page: &mut DemoPage<'_>, metrics: &ScrapedMetrics) {
    let denied = |reason: &str| metrics.sum("vendorgate_denials_total", &[ACME, &format!("reason=\"{reason}\"")]);
    let expected = [
        ("scope_missing", 1),
        ("token_age", 1),
        ("token_lifetime", 1),
        ("route_unknown", 2),
        ("records_exceeded", 2),
        ("vendor_killed", 2),
    ];
    let wrong: Vec<String> = expected
        .into_iter()
        .filter(|(reason, times)| denied(reason) != *times)
        .map(|(reason, times)| format!("{reason} {} and not {times}", denied(reason)))
        .collect();
    page.check("every refusal of this story was counted under its reason", wrong.is_empty(), wrong.join(", "));
    let treated = metrics.by("vendorgate_pii_values_total", &[ACME], "treatment");
    page.check("all seven treatments were used and counted", treated.len() == 7, treated.len());
    let severed = metrics.sum("vendorgate_severed_total", &[ACME]);
    page.check("so were the four that were severed", severed == 4, severed);
}

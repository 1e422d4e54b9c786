//! Step 9: what has left to the vendor, by the gateway's own counts.

use http::StatusCode;
use serde_json::Value;

use super::super::client::DemoRequest;
use super::super::page::{Colour, DemoPage};
use super::metrics::ScrapedMetrics;
use super::{Played, Story};
use crate::model::thousands;

const ACME: &str = "vendor=\"acme-analytics\"";
const EXPOSURE: &str = "/v1/exposure?vendor=acme-analytics";

impl Story<'_, '_> {
    pub(super) async fn summary(&mut self) -> Played {
        self.page.call(&format!("GET {EXPOSURE}"), "olga, operator");
        let ask = DemoRequest::get(self.stage.admin, EXPOSURE).bearer(self.stage.tokens.operator.expose());
        let report = self.send(ask).await?.json();
        exposure(self.page, &report);
        self.page.call("GET /metrics", "anyone on the admin listener");
        let metrics = ScrapedMetrics::read(self.stage).await?;
        figures(self.page, &metrics);
        check_exposure(self.page, &report, &metrics);
        checks(self.page, &metrics);
        Ok(())
    }
}

fn exposure(page: &mut DemoPage<'_>, report: &Value) {
    let number = |value: &Value| thousands(value.as_u64().unwrap_or_default());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    page.answer(StatusCode::OK, &format!("{} records, {} bytes", number(&report["records"]), number(&report["bytes"])));
    for route in report["routes"].as_array().into_iter().flatten() {
        let (name, direction, records) = (text(&route["route"]), text(&route["direction"]), number(&route["records"]));
        let people = route["subjects"]["about"].as_u64().map(people).unwrap_or_default();
        let line = format!("     {direction:<8} {name:<30} {records:>9} records {people}");
        page.line(Colour::Plain, line.trim_end());
        for field in route["treated"].as_array().into_iter().flatten() {
            let (name, treatment) = (text(&field["field"]), text(&field["treatment"]));
            page.remark(format!("           {name:<36} {treatment:<14} {:>8}", number(&field["values"])));
        }
    }
}

fn people(about: u64) -> String {
    format!("of about {} {}", thousands(about), if about == 1 { "person" } else { "people" })
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

fn figures(page: &mut DemoPage<'_>, metrics: &ScrapedMetrics) {
    page.answer(StatusCode::OK, "acme-analytics, since the start of the demo");
    for direction in ["ingress", "egress"] {
        let labels = [ACME, &format!("direction=\"{direction}\"")];
        let [requests, records, bytes] = ["requests", "records", "bytes"]
            .map(|what| thousands(metrics.sum(&format!("vendorgate_{what}_total"), &labels)));
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
    let expected = [
        ("scope_missing", 1),
        ("token_age", 1),
        ("token_lifetime", 1),
        ("route_unknown", 2),
        ("records_exceeded", 2),
        ("vendor_killed", 2),
    ];
    let wrong = expected.into_iter().filter_map(|(reason, times)| {
        let counted = metrics.sum("vendorgate_denials_total", &[ACME, &format!("reason=\"{reason}\"")]);
        (counted != times).then(|| format!("{reason} {counted} and not {times}"))
    });
    let wrong: Vec<_> = wrong.collect();
    page.check("every refusal of this story was counted under its reason", wrong.is_empty(), wrong.join(", "));
    let treated = metrics.by("vendorgate_pii_values_total", &[ACME], "treatment");
    page.check("all seven treatments were used and counted", treated.len() == 7, treated.len());
    let severed = metrics.sum("vendorgate_severed_total", &[ACME]);
    page.check("so were the four that were severed", severed == 4, severed);
}

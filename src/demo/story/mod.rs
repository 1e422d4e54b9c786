//! The story, step by step: what is done, what must follow, and a check of each claim.
//!
//! A step that breaks off counts as a failed check, and the next one is played all the same.

mod allowed;
mod egress;
mod exfiltration;
mod kill;
mod metrics;
mod refused;
mod summary;

use super::client::{DemoReply, DemoRequest};
use super::crm::Crm;
use super::page::{Colour, DemoPage};
use super::people::CUSTOMERS;
use super::stage::{ACME, DemoStage};
use crate::http::ClientError;
use crate::identity::SigningError;
use crate::model::thousands;

/// Why a step broke off.
#[derive(Debug, thiserror::Error)]
enum StoryError {
    /// A call got no answer.
    #[error("a call got no answer")]
    Call(#[from] ClientError),
    /// A token could not be signed.
    #[error("a token could not be signed")]
    Token(#[from] SigningError),
}

/// Plays all steps.
pub(super) async fn play(stage: &DemoStage, page: &mut DemoPage<'_>) {
    introduce(stage, page);
    page.step("An allowed call: the vendor gets its list, and nobody's personal data");
    report_failure(allowed::play(stage, page).await, page);
    page.step("A missing scope: the token is good, but not for this");
    report_failure(refused::scope(stage, page).await, page);
    page.step("A stale token: signed by the right issuer, and refused all the same");
    report_failure(refused::stale(stage, page).await, page);
    page.step("Deny by default: what the contract does not list does not exist");
    report_failure(refused::route(stage, page).await, page);
    page.step("Exfiltration: everything is asked for at once, and cut at the budget");
    report_failure(exfiltration::play(stage, page).await, page);
    page.step("Egress: our own service reports to the vendor, and the vendor learns nobody's name");
    report_failure(egress::play(stage, page).await, page);
    page.step("The kill switch: cut off in the middle of four downloads");
    report_failure(kill::play(stage, page).await, page);
    page.step("What has left, and what has not");
    report_failure(summary::play(stage, page).await, page);
}

fn report_failure(outcome: Result<(), StoryError>, page: &mut DemoPage<'_>) {
    if let Err(error) = outcome {
        page.step_failed(&error);
    }
}

fn introduce(stage: &DemoStage, page: &mut DemoPage<'_>) {
    page.line(Colour::Bold, "vendorgate demo");
    page.line(Colour::Dim, "Everything below is real HTTP on this machine; nothing had to be installed or set up.");
    page.gap();
    let customers = format!("a CRM with {} made-up customers", thousands(CUSTOMERS));
    let contracts = stage.folder.path().join("contracts");
    for (name, place, what) in [
        ("internal API", format!("http://{}", stage.crm_at), customers.as_str()),
        ("issuer", stage.issuer.url().to_owned(), "OAuth 2.0, tokens signed with ES256"),
        ("vendor", format!("http://{}", stage.partner_at), "ACME Analytics, who takes events from us"),
        ("gateway", format!("http://{}", stage.ingress), "ingress: where vendors call"),
        ("", format!("http://{}", stage.egress), "egress: where our services call vendors"),
        ("", format!("http://{}", stage.admin), "admin"),
        ("contracts", contracts.display().to_string(), ""),
    ] {
        page.line(Colour::Plain, format!("   {name:<14}{place:<26}{what}").trim_end());
    }
}

/// Makes a call, and prints the call and a refusal.
async fn call(
    stage: &DemoStage,
    page: &mut DemoPage<'_>,
    call: DemoRequest,
    who: &str,
) -> Result<DemoReply, StoryError> {
    page.call(&call.label, who);
    let reply = call.finish(&stage.clock).await?;
    if !reply.status.is_success() {
        let answer = reply.json();
        let texts = [answer["reason"].as_str(), answer["detail"].as_str()];
        page.answer(reply.status, &texts.map(Option::unwrap_or_default).join(": "));
    }
    Ok(reply)
}

/// Checks that a call was refused with this status and reason, and that it did not reach the internal API.
fn check_refused(page: &mut DemoPage<'_>, reply: &DemoReply, outcome: &str, crm: &Crm, requests_before: u64) {
    let arrived = crm.requests() - requests_before;
    let claim = format!("refused with {outcome}; the internal API never heard of it");
    let got = format!("{}, {arrived} requests arrived", reply.outcome());
    page.check(&claim, reply.outcome() == outcome && arrived == 0, got);
}

/// Prints what the user can try now, as lines to copy. `program` is how this program was called.
pub(super) async fn invite(stage: &DemoStage, page: &mut DemoPage<'_>, program: &str) {
    let token = stage.token(ACME, "customers:read+customers:export").await.unwrap_or_default();
    let (admin, badges) = (stage.admin, &stage.tokens);
    page.gap();
    page.line(Colour::Bold, "It keeps running. In another terminal:");
    page.gap();
    page.line(
        Colour::Dim,
        "# the vendor's token, good for an hour; and those of Olga, who may kill, and Adam, who may restore",
    );
    page.line(Colour::Plain, format!("TOKEN={token}"));
    page.line(Colour::Plain, format!("OLGA={}; ADAM={}", badges.operator.expose(), badges.admin.expose()));
    for (why, lines) in suggestions(stage, program) {
        page.gap();
        page.line(Colour::Dim, format!("# {why}"));
        for line in lines {
            page.line(Colour::Plain, line);
        }
    }
    page.gap();
    let dashboard = DemoRequest::get(admin, "/").finish(&stage.clock).await.is_ok_and(|reply| reply.status == 200);
    let name = if dashboard { "Dashboard" } else { "Admin" };
    page.line(Colour::Bold, format!("{name}: http://{admin}/    Files: {}", stage.folder.path().display()));
    page.line(Colour::Plain, "Ctrl-C ends it and removes them.");
}

fn suggestions(stage: &DemoStage, program: &str) -> [(&'static str, Vec<String>); 5] {
    let (crm, ingress, admin) = (stage.crm_at, stage.ingress, stage.admin);
    let vendor = |target: &str| format!("curl -sN -H \"Authorization: Bearer $TOKEN\" 'http://{ingress}{target}'");
    let order = |who: &str, act: &str| {
        format!(
            "curl -s -H \"Authorization: Bearer ${who}\" -H 'Content-Type: application/json' \\\n     \
             -d '{{\"reason\":\"trying it\"}}' http://{admin}/v1/vendors/acme-analytics/{act}"
        )
    };
    [
        (
            "what is really there, and what the vendor gets",
            vec![format!("curl -s 'http://{crm}/v1/customers?limit=2'"), vendor("/v1/customers?limit=2")],
        ),
        (
            "everything at once: it ends at the budget, with curl's error 18",
            vec![vendor("/v1/customers?limit=50000") + " | wc -c"],
        ),
        (
            "a slow download, and the kill that ends it, from a third terminal",
            vec![vendor("/v1/exports/customers"), order("OLGA", "kill")],
        ),
        ("and back again", vec![order("ADAM", "restore")]),
        (
            "every vendor at a glance; what Prometheus sees",
            vec![
                format!("VENDORGATE_TOKEN=$OLGA {program} status --admin http://{admin}"),
                format!("curl -s http://{admin}/metrics"),
            ],
        ),
    ]
}

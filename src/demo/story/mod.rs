//! The story, step by step: what is done, what must follow, and a check of each claim.
//!
//! A step that breaks off counts as a failed check, and the next one is played all the same.

mod allowed;
mod egress;
mod exfiltration;
mod interception;
mod kill;
mod metrics;
mod refused;
mod summary;

use std::error::Error;
use std::time::Duration;

use http::Method;

use super::client::{DemoReply, DemoRequest};
use super::issuer::DemoGrant;
use super::page::{Colour, DemoPage};
use super::people::CUSTOMERS;
use super::stage::DemoStage;
use crate::model::{Direction, Secret, thousands};
use crate::pii::Rules;

/// The client id of the sample vendor.
const ACME: &str = "acme-batch";
/// The client id of a second vendor, which a kill of the first must not affect.
const SWIFT: &str = "swift-hub";
/// How the sample vendor is shown where it may read.
const READER: &str = "acme-batch, customers:read";
/// One customer, on a route that the contract has.
const ONE: &str = "/v1/customers/cus_000014";

/// What a part of a step came to, or why it broke off.
type Played<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// One telling of the story.
pub(super) struct Story<'a, 'out> {
    pub(super) stage: &'a DemoStage,
    pub(super) page: &'a mut DemoPage<'out>,
}

impl<'a> Story<'a, '_> {
    /// Plays all steps.
    pub(super) async fn play(&mut self) {
        self.introduce();
        self.step("An allowed call: the vendor gets its list, and nobody's personal data", Self::allowed).await;
        self.step("A missing scope: the token is good, but not for this", Self::scope).await;
        self.step("A stale token: signed by the right issuer, and refused all the same", Self::stale).await;
        self.step("Deny by default: what the contract does not list does not exist", Self::route).await;
        self.step("Exfiltration: everything is asked for at once, and cut at the budget", Self::exfiltration).await;
        self.step("Egress: our own service reports to the vendor, and the vendor learns nobody's name", Self::egress)
            .await;
        self.step("Egress: a service that knows nothing of the gateway, by HTTPS_PROXY alone", Self::interception)
            .await;
        self.step("The kill switch: cut off in the middle of four downloads", Self::kill).await;
        self.step("What has left, and what has not", Self::summary).await;
    }

    async fn step(&mut self, title: &str, play: impl AsyncFnOnce(&mut Self) -> Played) {
        self.page.step(title);
        if let Err(error) = play(self).await {
            self.page.step_failed(&*error);
        }
    }

    fn introduce(&mut self) {
        let Self { stage, page } = self;
        page.line(Colour::Bold, "vendorgate demo");
        page.line(Colour::Dim, "Everything below is real HTTP on this machine; nothing had to be installed or set up.");
        page.gap();
        let customers = format!("a CRM with {} made-up customers", thousands(CUSTOMERS));
        for (name, at, what) in [
            ("internal API", stage.services.crm_at, customers.as_str()),
            ("issuer", stage.services.issuer_at, "OAuth 2.0, tokens signed with ES256"),
            ("vendor", stage.services.partner_at, "ACME Analytics, who takes events from us"),
            ("gateway", stage.ingress, "ingress: where vendors call"),
            ("", stage.egress, "egress: where our services call vendors"),
            ("", stage.admin, "admin"),
        ] {
            page.line(Colour::Plain, format!("   {name:<14}{:<26}{what}", format!("http://{at}")));
        }
        page.line(Colour::Plain, format!("   {:<14}{}", "contracts", stage.folder.path().join("contracts").display()));
    }

    /// Prints what the user can try now, as lines to copy. `program` is how this program was called.
    pub(super) async fn invite(&mut self, program: &str) {
        let token = self.token(ACME, "customers:read+customers:export").await.unwrap_or_default();
        let Self { stage, page } = self;
        let (crm, vendor) = (stage.services.crm_at, stage.services.partner_at);
        let places = [
            ("CRM", crm),
            ("INGRESS", stage.ingress),
            ("EGRESS", stage.egress),
            ("ADMIN", stage.admin),
            ("PARTNER", vendor),
        ]
        .map(|(word, at)| (word, at.to_string()));
        let fill = |text: String, (word, value): &(&str, String)| text.replace(word, value);
        let lines = places.iter().fold(include_str!("../files/invitation.txt").to_owned(), fill);
        page.gap();
        page.line(Colour::Bold, "It keeps running. In another terminal:");
        page.gap();
        page.line(
            Colour::Dim,
            "# the vendor's token, good for an hour; and those of Olga, who may kill, and Adam, who may restore",
        );
        page.line(Colour::Plain, format!("TOKEN={token}"));
        let (olga, adam) = (stage.tokens.operator.expose(), stage.tokens.admin.expose());
        page.line(Colour::Plain, format!("OLGA={olga}; ADAM={adam}"));
        page.gap();
        let main = stage.folder.main();
        for line in lines.replace("PROGRAM", program).replace("MAIN", &main.display().to_string()).lines() {
            page.line(if line.starts_with('#') { Colour::Dim } else { Colour::Plain }, line);
        }
        page.gap();
        page.line(
            Colour::Bold,
            format!("Dashboard: http://{}/    Files: {}", stage.admin, stage.folder.path().display()),
        );
        page.line(Colour::Plain, format!("Log in with Adam's token: {adam}"));
        page.line(Colour::Plain, "Ctrl-C ends it and removes them.");
    }

    /// Fetches a token from the issuer, as any OAuth client does.
    async fn token(&self, client: &str, scope: &str) -> Played<String> {
        let secret = self.stage.services.issuer.secret().expose();
        let form = format!("grant_type=client_credentials&client_id={client}&client_secret={secret}&scope={scope}");
        let at = self.stage.services.issuer_at;
        let reply = self.send(DemoRequest::post(at, "/token", "application/x-www-form-urlencoded", form)).await?;
        Ok(reply.json()["access_token"].as_str().unwrap_or_default().to_owned())
    }

    /// Signs a token with another age or lifetime than the issuer's own.
    fn token_with_age(&self, age: Duration, lifetime: Duration) -> Played<String> {
        Ok(self.stage.services.issuer.sign(DemoGrant { client: ACME, scope: "customers:read", age, lifetime })?)
    }

    /// A call of the vendor.
    fn ask(&self, target: &str, token: &str) -> DemoRequest {
        DemoRequest::get(self.stage.ingress, target).bearer(token)
    }

    /// Makes a call that is not shown.
    async fn send(&self, call: DemoRequest) -> Played<DemoReply> {
        Ok(call.finish(&self.stage.clock).await?)
    }

    /// Sends an order as an operator.
    async fn order(&self, operator: &Secret<String>, target: &str, reason: &str) -> Played<DemoReply> {
        let order = DemoRequest::post_json(self.stage.admin, target, &serde_json::json!({ "reason": reason }));
        self.send(order.bearer(operator.expose())).await
    }

    /// Makes a call, and prints the call and a refusal.
    async fn call(&mut self, call: DemoRequest, who: &str) -> Played<DemoReply> {
        self.page.call(&call.label, who);
        let reply = self.send(call).await?;
        if !reply.status.is_success() {
            let answer = reply.json();
            let texts = [answer["reason"].as_str(), answer["detail"].as_str()];
            self.page.answer(reply.status, &texts.map(Option::unwrap_or_default).join(": "));
        }
        Ok(reply)
    }

    /// Makes a call that must be refused with this status and reason, and must not reach the internal API.
    async fn call_refused(&mut self, call: DemoRequest, who: &str, outcome: &str) -> Played<DemoReply> {
        let before = self.stage.services.crm.requests();
        let reply = self.call(call, who).await?;
        let arrived = self.stage.services.crm.requests() - before;
        let claim = format!("refused with {outcome}; the internal API never heard of it");
        let got = format!("{}, {arrived} requests arrived", reply.outcome());
        self.page.check(&claim, reply.outcome() == outcome && arrived == 0, got);
        Ok(reply)
    }

    /// The rules for the bodies that leave on a route of the contract.
    fn rules(&self, direction: Direction, method: &Method, path: &str) -> Played<&'a Rules> {
        let found = self.stage.contract.routes(direction).find(method, path);
        let (_, route, _) = found.ok_or("the contract has no such route")?;
        Ok(if direction == Direction::Ingress { &route.response } else { &route.request })
    }
}

//! Step 7: a service that knows nothing of the gateway calls the vendor under TLS.

use serde_json::json;

use super::super::client::DemoRequest;
use super::super::diff;
use super::super::folder::{AUTHORITY, VENDOR_HOST};
use super::super::tunnel::{TunnelClient, TunnelReply};
use super::egress::event;
use super::{Played, Story};
use crate::model::Direction;

const WHO: &str = "our billing service, HTTPS_PROXY";
/// What the service has in its own settings, where others have the vendor's credential.
const PLACEHOLDER: &str = "not-a-secret";
/// A host of no contract.
const ELSEWHERE: &str = "files.pastebin.example";

impl Story<'_, '_> {
    pub(super) async fn interception(&mut self) -> Played {
        let stage = self.stage;
        let service = TunnelClient::new(stage.egress, &stage.folder.path().join(AUTHORITY))?;
        let events = json!({ "events": [event(16), event(17)] });
        self.page
            .remark("the service was given HTTPS_PROXY and an authority; its code, its URL and its TLS are its own");
        self.page.call(&format!("POST https://{VENDOR_HOST}/v2/events"), WHO);
        let reply = service.post(VENDOR_HOST, "/v2/events", PLACEHOLDER, &events).await?;
        self.page.answer(reply.status, "the vendor took it");
        self.page.check("the call reached the vendor", reply.status == 202, reply.outcome());
        let received = stage.services.partner.received().pop().unwrap_or_default();
        let rules = self.rules(Direction::Egress, &http::Method::POST, "/v2/events")?;
        let mut leaked = diff::leaked(rules, &events, &received.body);
        leaked.extend(diff::leaked(rules, &events, received.head.as_bytes()));
        let claim = "though it was under TLS, no raw value is on the vendor's side";
        self.page.check(claim, leaked.is_empty() && !received.body.is_empty(), leaked.join(", "));
        let credential = stage.vendor_credential.expose();
        self.page.remark("the credential: what the service sent (-), and what the vendor received (+)");
        self.page.minus("authorization", &format!("Bearer {PLACEHOLDER}"), "");
        let given = received.head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
        self.page.plus("authorization", &format!("{}…", given.get(..18).unwrap_or(given)));
        let holds = given == format!("Bearer {credential}") && !received.head.contains(PLACEHOLDER);
        let claim = "the gateway holds the vendor's credential: no service of ours has it, or can lose it";
        self.page.check(claim, holds, given.len());
        self.elsewhere(&service).await
    }

    /// A host that no contract lists is refused before a byte is sent, and listed for whoever owns the contracts.
    async fn elsewhere(&mut self, service: &TunnelClient) -> Played {
        self.page.call(&format!("POST https://{ELSEWHERE}/upload"), WHO);
        let reply = service.post(ELSEWHERE, "/upload", PLACEHOLDER, &json!({})).await?;
        self.page.answer(reply.status, reply.body["reason"].as_str().unwrap_or_default());
        let claim = "a host without a contract is refused before a byte is sent: 403 destination_unknown";
        self.page.check(claim, reply.outcome() == "403 destination_unknown", reply.outcome());
        let ask = DemoRequest::get(self.stage.admin, "/v1/shadow").bearer(self.stage.tokens.operator.expose());
        let listed = self.call(ask, "olga, operator").await?.json();
        let names = listed["destinations"].as_array().into_iter().flatten();
        let names: Vec<_> = names.filter_map(|asked| asked["destination"].as_str()).collect();
        self.page.answer(http::StatusCode::OK, &names.join(", "));
        let holds = names.contains(&format!("{ELSEWHERE}:443").as_str()) && names.contains(&"/pastebin");
        self.page.check("and listed, with what was asked for by path: vendors nobody has reviewed", holds, listed);
        Ok(())
    }
}

impl TunnelReply {
    /// The status, and the stable reason of a refusal.
    fn outcome(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.body["reason"].as_str().unwrap_or_default()).trim_end().to_owned()
    }
}

//! A vendor that is killed, or whose contract is not in force, is shown no secret of ours: not even in the background.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::{BASIC, SECRET, TokenServer, call, gateway, get, terms, token};
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;

const WHY: &str = r#"{"reason":"a leak"}"#;
/// Long enough for several renewals of a token that lives for two seconds.
const RENEWALS: Duration = Duration::from_secs(4);

fn kill(gateway: &TestGateway) {
    assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/kill", WHY).status, 200);
}

fn short_lived() -> TokenServer {
    TokenServer::start(|number, _| token(number, r#","expires_in":2"#))
}

/// Asks no more from now on; returns how often it was asked.
fn rests(tokens: &TokenServer) -> u64 {
    let before = tokens.asked();
    std::thread::sleep(RENEWALS);
    assert_eq!(tokens.asked(), before, "a question was asked");
    before
}

#[test]
fn a_killed_vendor_is_asked_for_no_token_and_asked_again_once_it_is_restored() {
    let (vendor, tokens) = (Upstream::json("{}"), short_lived());
    let gateway = gateway(&vendor, &tokens.credentials(BASIC), &[("client", SECRET)]);
    assert_eq!(get(&gateway).status, 200);
    until("it is renewed in the background", || tokens.asked() >= 2);
    kill(&gateway);
    let asked = rests(&tokens);
    assert_eq!(get(&gateway).reason(), "vendor_killed");
    let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
    let told = status["credential"]["last_error"].as_str().unwrap_or_default();
    assert!(told.contains("killed"), "{told}");
    assert_eq!(status["credential"]["fetches"]["failed"], 0, "not asked is no failure: {status}");
    assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/acme/restore", WHY).status, 200);
    assert_eq!(get(&gateway).status, 200, "no request waits for a pause");
    until("it is renewed again", || tokens.asked() > asked + 1);
}

#[test]
fn a_contract_that_a_reload_ends_or_makes_a_draft_asks_for_no_more_tokens() {
    for end in ["ends: 2021-01-01\n", "mode: draft\n"] {
        let (vendor, tokens) = (Upstream::json("{}"), short_lived());
        let gateway = gateway(&vendor, &tokens.credentials(BASIC), &[("client", SECRET)]);
        until("it is renewed in the background", || tokens.asked() >= 2);
        let own = terms(&vendor, &tokens.credentials(BASIC));
        gateway.fixture.write_contract("acme", &format!("{end}{own}"));
        let reloaded = gateway.admin("admin", "POST", "/v1/reload", "");
        assert_eq!(reloaded.status, 200, "{end}: {}", reloaded.text());
        rests(&tokens);
        gateway.fixture.write_contract("acme", &own);
        assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "").status, 200);
        assert_eq!(get(&gateway).status, 200, "{end}");
    }
}

/// A token endpoint that answers no question, and tells when it is asked.
fn silent() -> (Upstream, mpsc::Receiver<()>) {
    let (tell, told) = mpsc::channel();
    let server = Upstream::start(move |_, asker| {
        let _ = tell.send(());
        asker.gone();
        false
    });
    (server, told)
}

#[test]
fn a_kill_ends_at_once_what_waits_for_a_token_and_the_question_itself() {
    let exchange = format!("{BASIC}, deadline: 30s, grant: token_exchange");
    for (grant, fields) in [(format!("{BASIC}, deadline: 30s"), ""), (exchange, "Authorization: Bearer ann\r\n")] {
        let (vendor, (tokens, asked)) = (Upstream::json("{}"), silent());
        let credentials =
            format!(r#"{{ oauth2: {{ token_url: "http://{}/token", client_id: us, {grant} }} }}"#, tokens.address);
        let gateway = gateway(&vendor, &credentials, &[("client", SECRET)]);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let answer = call(&gateway, "GET /acme/v2/things", fields, "");
                is_over.store(true, Ordering::SeqCst);
                answer
            });
            asked.recv_timeout(Duration::from_secs(20)).expect("it is asked");
            assert!(!is_over.load(Ordering::SeqCst), "the request waits");
            kill(&gateway);
            until("the vendor's server sees it go", || tokens.broken() == 1);
            assert_eq!(waiting.join().expect("no panic").reason(), "vendor_killed", "{grant}");
        });
        assert!(vendor.seen().is_empty());
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(tokens.seen().len(), 1, "and it is not asked again: {grant}");
    }
}

#[test]
fn a_kill_of_one_route_lets_the_question_for_a_token_go_on() {
    let (tokens, asked) = silent();
    let vendor = Upstream::json("{}");
    let credentials = format!(
        r#"{{ oauth2: {{ token_url: "http://{}/token", client_id: us, {BASIC}, deadline: 30s }} }}"#,
        tokens.address
    );
    let gateway = gateway(&vendor, &credentials, &[("client", SECRET)]);
    let answered = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let theirs = Arc::clone(&answered);
        let gateway = &gateway;
        let waiting = scope.spawn(move || {
            let answer = get(gateway);
            theirs.store(true, Ordering::SeqCst);
            answer
        });
        asked.recv_timeout(Duration::from_secs(20)).expect("it is asked");
        let part = r#"{"reason":"a leak","route":"POST /v2/things"}"#;
        assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/kill", part).status, 200);
        std::thread::sleep(Duration::from_millis(500));
        assert!(!answered.load(Ordering::SeqCst) && tokens.broken() == 0, "a kill of a part cuts nothing else");
        kill(gateway);
        assert_eq!(waiting.join().expect("no panic").reason(), "vendor_killed");
    });
}

//! After a 401 a request is sent once more with another credential, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{BASIC, SECRET, TokenServer, gateway, get, put, status};
use crate::support::upstream::{Upstream, ok};

fn refusing() -> Upstream {
    Upstream::saying(status(401, "", "no"))
}

#[test]
fn a_server_that_gives_the_same_token_again_causes_no_second_request() {
    let same = r#"{"access_token":"the-same-token-again","token_type":"Bearer","expires_in":3600}"#;
    for grant in ["", ", grant: token_exchange"] {
        let tokens = TokenServer::start(move |_, _| ok("application/json", same));
        let vendor = refusing();
        let gateway = gateway(&vendor, &tokens.credentials(&format!("{BASIC}{grant}")), &[("client", SECRET)]);
        let answer = super::call(&gateway, "GET /acme/v2/things", "Authorization: Bearer ann\r\n", "");
        assert_eq!((answer.status, tokens.asked()), (401, 2), "another one was asked for: {grant}");
        assert_eq!(vendor.seen().len(), 1, "{grant}");
    }
}

#[test]
fn a_file_that_was_written_anew_with_the_same_secret_causes_no_second_request() {
    let vendor = refusing();
    let gateway = gateway(&vendor, "{ bearer: { secret: { file: ../own } } }", &[("own", SECRET)]);
    for round in 1..=3 {
        put(gateway.fixture.path(), "own", SECRET);
        assert_eq!(get(&gateway).status, 401);
        assert_eq!(vendor.seen().len(), round);
    }
    put(gateway.fixture.path(), "own", "another-secret");
    assert_eq!(get(&gateway).status, 401);
    assert_eq!(vendor.seen().len(), 5, "another secret is tried");
}

#[test]
fn a_secret_that_vault_still_holds_causes_no_second_request() {
    let reads = Arc::new(AtomicU64::new(0));
    let theirs = Arc::clone(&reads);
    let vault = Upstream::start(move |seen, asker| {
        assert_eq!(seen.field("x-vault-token"), Some("hvs.of-the-agent"));
        theirs.fetch_add(1, Ordering::SeqCst);
        let data =
            r#"{"data":{"data":{"key":"the-same-secret"},"metadata":{"created_time":"2026-01-01T07:08:09.1Z"}}}"#;
        asker.write(ok("application/json", data)).is_ok()
    });
    let vendor = refusing();
    let credentials = format!(
        "{{ bearer: {{ secret: {{ vault: {{ address: \"http://{}\", path: acme, key: key, token_file: ../token }} }} }} }}",
        vault.address
    );
    let gateway = gateway(&vendor, &credentials, &[("token", "hvs.of-the-agent\n")]);
    assert_eq!(get(&gateway).status, 401);
    assert_eq!((reads.load(Ordering::SeqCst), vendor.seen().len()), (2, 1), "it is read again, and nothing is sent");
}

//! The client verbs against an admin listener on a real socket.

use clap::Command;

use super::client::{AdminClient, ConnectionArgs, RemoteCall};
use super::error::{CliError, Exit};
use super::layout::PrintableWriter;
use super::{audit, drill, exposure, health, kill, restore, reveal, revoke, status, suggest, why};
use crate::admin::fake::FakeListener;
use crate::model::{UnixTime, is_printable};

const NOW: UnixTime = UnixTime::from_secs(180);

/// The arguments of a verb, parsed by clap.
fn args<A: clap::Args>(words: &str) -> Result<A, clap::Error> {
    let command = A::augment_args(Command::new("verb").no_binary_name(true));
    command
        .try_get_matches_from(words.split('|').filter(|word| !word.is_empty()))
        .and_then(|found| A::from_arg_matches(&found))
}

fn client(listener: &FakeListener, token: &str) -> AdminClient {
    AdminClient::new(&format!("http://{}", listener.address), Some(token)).unwrap()
}

macro_rules! check {
    ($listener:expr, $token:literal, $execute:expr, $words:expr) => {{
        let mut bytes = Vec::new();
        let (args, client) = (args($words).unwrap(), client(&$listener, $token));
        let connection = &ConnectionArgs { admin: None, json: $words.contains("--json") };
        let out = &mut PrintableWriter(&mut bytes);
        let ended = $execute(&args, &mut RemoteCall { client, connection, now: NOW, out }).await;
        (ended, String::from_utf8(bytes).unwrap())
    }};
}

fn refused(ended: Result<Exit, CliError>) -> String {
    match ended {
        Err(error @ CliError::Refused(_)) => error.report(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_kill_says_what_was_done_and_how_fast() {
    let listener = FakeListener::start().await;
    let (ended, said) =
        check!(listener, "operator-token", kill::execute, "acme|--reason|key leaked|--direction|egress");
    assert_eq!(ended.unwrap(), Exit::Yes);
    assert_eq!(said, "acme is cut off: 3 requests severed in 0.412 ms, kept on disk, generation 7\n");
    assert_eq!(listener.fake.last_act(), "operator acme kill egress - - \"key leaked\"");
    let (_, said) = check!(listener, "operator-token", kill::execute, "--all|--reason|x|--json");
    assert!(said.starts_with("{\n  \"vendors\": [") && listener.fake.last_act().contains(" * kill"), "{said}");
    let acts = listener.fake.acts.lock().unwrap().len();
    let (ended, said) = check!(listener, "operator-token", kill::execute, "acme|--reason|x|--dry-run");
    assert_eq!((ended.unwrap(), said.as_str()), (Exit::Yes, "acme: 2 calls of theirs and 1 of ours would be cut\n"));
    assert_eq!(listener.fake.acts.lock().unwrap().len(), acts, "nothing was done");
    listener.stop().await;
}

#[tokio::test]
async fn a_kill_is_ordered_for_later_listed_and_taken_back() {
    let listener = FakeListener::start().await;
    let (ended, said) = check!(listener, "operator-token", kill::execute, "acme|--in|2h|--reason|x");
    assert_eq!(ended.unwrap(), Exit::Yes);
    // The gateway's clock counts, not the shell's.
    assert!(said.starts_with("acme will be cut off at 1970-01-12T15:46:40.000Z (in "), "{said}");
    assert!(said.ends_with("kill 3, kept on disk\n") && listener.fake.last_act().contains("kill at 1970-01-12T15"));
    let at = "--all|--at|1970-01-12T15:46:40Z|--reason|x";
    let (_, said) = check!(listener, "operator-token", kill::execute, at);
    assert!(said.starts_with("every vendor will be cut off at 1970-01-12T15:46:40.000Z"), "{said}");
    let (_, said) = check!(listener, "viewer-token", kill::execute, "--list");
    let row = "   3  acme    everything    at 1970-01-01T02:00:00.000Z (in 1h 57m)  alice  contract ends";
    assert_eq!(said.lines().nth(1), Some(row), "{said}");
    let (_, said) = check!(listener, "admin-token", kill::execute, "--cancel|3|--reason|signed");
    assert_eq!(said, "acme will not be cut off at 1970-01-01T02:00:00.000Z: kill 3 is cancelled\n");
    assert_eq!(listener.fake.last_act(), "admin acme cancel 3 \"signed\"");
    let (ended, _) = check!(listener, "operator-token", kill::execute, "--cancel|3|--reason|signed");
    assert!(refused(ended).contains("needs the role 'admin'"));
    let (ended, _) = check!(listener, "operator-token", kill::execute, "acme|--in|0s|--reason|x");
    assert!(refused(ended).contains("a time to come"));
    for bad in ["acme|--list", "--cancel|3", "acme|--at|2h|--in|2h|--reason|x", "acme|--in|2h|--dry-run|--reason|x"] {
        assert!(args::<kill::KillArgs>(bad).is_err(), "{bad}");
    }
    listener.stop().await;
}

#[tokio::test]
async fn restore_drill_and_revoke_print_what_was_done() {
    let listener = FakeListener::start().await;
    let (ended, said) = check!(listener, "admin-token", restore::execute, "acme|--reason|new key");
    assert_eq!((ended.unwrap(), said.as_str()), (Exit::Yes, "acme is back (generation 8)\n"));
    let (_, said) = check!(listener, "admin-token", restore::execute, "--all|--reason|clean again");
    assert_eq!(said, "every vendor is back (generation 8)\n");
    let (ended, said) = check!(listener, "operator-token", drill::execute, "acme");
    assert_eq!(ended.unwrap(), Exit::Yes);
    assert_eq!(
        said,
        "AFTER THE ORDER               TIME\n\
         new requests refused      0.009 ms\n\
         requests in flight ended  0.412 ms  3 severed\n\
         kill on disk              3.900 ms\n\
         acme is back as it was\n"
    );
    let (ended, said) = check!(listener, "operator-token", revoke::execute, "acme|--issued-before|1m|--reason|x");
    assert_eq!(
        (ended.unwrap(), said.as_str()),
        (
            Exit::Yes,
            "acme: tokens issued before 1970-01-01T00:02:00.000Z revoked, 3 requests severed in 0.412 ms, kept on disk\n"
        )
    );
    assert!(
        listener.fake.last_act().contains("revoke IssuedBefore(UnixTime(120000)) \"x\""),
        "{}",
        listener.fake.last_act()
    );
    listener.stop().await;
}

#[tokio::test]
async fn status_shows_all_at_a_glance_and_one_in_full() {
    let listener = FakeListener::start().await;
    let (_, said) = check!(listener, "viewer-token", status::execute, "");
    assert_eq!(
        said,
        "VENDOR  STATE  DAYS LEFT  REQUESTS  DENIED  IN FLIGHT  RECORDS    SENT  TOKEN AGE  LAST DENIAL\n\
         acme    live          10     1,234       5          2   50,000  3.2 MB     1m 30s  scope_missing, 2m ago\n"
    );
    let (_, said) = check!(listener, "viewer-token", status::execute, "acme");
    for line in [
        "vendor            acme (ACME Ltd)",
        "ends              1970-01-11T00:00:00.000Z",
        "oldest key        -",
        "everything        2m ago  bob  clean",
        "   3  acme    everything    at 1970-01-01T02:00:00.000Z (in 1h 57m)  alice  contract ends",
    ] {
        assert!(said.lines().any(|found| found == line), "{line}\n{said}");
    }
    let (ended, _) = check!(listener, "viewer-token", status::execute, "other");
    assert!(refused(ended).starts_with("error: No such vendor: GET /v1/vendors lists"));
    listener.stop().await;
}

#[tokio::test]
async fn exposure_is_text_markdown_or_json() {
    let listener = FakeListener::start().await;
    let (_, said) = check!(listener, "viewer-token", exposure::execute, "acme|--since|1m");
    for line in [
        "What left to acme, 1970-01-01T00:02:00Z to 1970-01-01T00:16:40Z",
        "  different subjects  about 1,100 (1,080 to 1,120)",
        "  $.customers[*].email  tokenize  1,200  a pseudonym",
        "  in clear: $.customers[*].id",
    ] {
        assert!(said.lines().any(|found| found == line), "{line}\n{said}");
    }
    let (_, said) = check!(listener, "viewer-token", exposure::execute, "acme|--by|caller");
    assert!(said.contains("ingress by acme") && said.contains("  1,200 records, 4,096 bytes"), "{said}");
    assert!(!said.contains('\u{202e}') && !said.contains("GET /v1/customers"), "{said}");
    let (_, said) = check!(listener, "viewer-token", exposure::execute, "acme|--md");
    assert!(
        said.contains("| `$.customers[*].ssn` | redact | nothing | 1,200 |\n") && said.contains("Article 33"),
        "{said}"
    );
    let (_, said) = check!(listener, "viewer-token", exposure::execute, "acme|--json");
    assert!(serde_json::from_str::<crate::exposure::ExposureReport>(&said).is_ok(), "{said}");
    listener.stop().await;
}

#[tokio::test]
async fn a_suggested_contract_is_text_or_json() {
    let listener = FakeListener::start().await;
    let (ended, said) = check!(listener, "viewer-token", suggest::execute, "acme|--direction|egress");
    assert_eq!((ended.unwrap(), said.as_str()), (Exit::Yes, "vendor: acme\nmode: enforce # Some(Egress)\n"));
    let (_, said) = check!(listener, "viewer-token", suggest::execute, "acme|--json");
    assert!(said.contains("\"vendor\": \"acme\"") && said.contains("# None"), "{said}");
    listener.stop().await;
}

#[tokio::test]
async fn audit_tail_prints_every_entry_without_control_characters() {
    let listener = FakeListener::start().await;
    let (ended, said) = check!(listener, "viewer-token", audit::execute, "--once");
    assert_eq!((ended.unwrap(), said.lines().count()), (Exit::Yes, 4));
    assert_eq!(
        said.lines().next(),
        Some(
            "1970-01-01T00:00:01.000Z #1 kill acme by alice: leak\u{fffd}[2J severed=3 said=\"\u{fffd}2J\u{fffd}\u{fffd}\""
        )
    );
    let (_, said) = check!(listener, "viewer-token", audit::execute, "--once|--json");
    let entry = |line| serde_json::from_str::<crate::admin::AuditEntry>(line).unwrap();
    assert!(said.lines().all(|line| entry(line).detail["said"] == "\u{9b}2J\u{202e}\u{2028}"), "{said}");
    assert!(said.chars().all(|symbol| is_printable(symbol) || symbol == '\n'), "{said:?}");
    for form in ["", "|--json"] {
        let words = format!("0af7651916cd43dd8448eb211c80319c{form}");
        let (_, said) = check!(listener, "viewer-token", why::execute, &words);
        assert!(
            said.contains("said ") && said.chars().all(|symbol| is_printable(symbol) || symbol == '\n'),
            "{said:?}"
        );
    }
    listener.stop().await;
}

#[tokio::test]
async fn health_is_an_exit_code() {
    let listener = FakeListener::start().await;
    let (ended, said) = check!(listener, "no-token", health::execute, "");
    assert_eq!((ended.unwrap(), said.lines().last()), (Exit::Yes, Some("ok")));
    *listener.fake.unready.lock().unwrap() = true;
    let (ended, _) = check!(listener, "no-token", health::execute, "");
    assert_eq!(ended.unwrap(), Exit::No);
    let (ended, said) = check!(listener, "no-token", health::execute, "--live|--json");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((ended.unwrap(), said), (Exit::Yes, serde_json::json!({ "well": true, "said": ["ok"] })));
    listener.stop().await;
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let listener = FakeListener::start().await;
    let (ended, _) = check!(listener, "viewer-token", kill::execute, "acme|--reason|x");
    let report = refused(ended);
    assert!(report.contains("this call needs the role 'operator', and yours is 'viewer'\n  request "), "{report}");
    let (ended, _) = check!(listener, "wrong-token", status::execute, "");
    assert!(refused(ended).contains("no operator holds this token"));
    let address = listener.address;
    listener.stop().await;
    let gone = AdminClient::new(&format!("http://{address}"), None).unwrap();
    let error = gone.probe("/livez").await.unwrap_err();
    assert!(error.report().contains("is it running?"), "{}", error.report());
}

#[tokio::test]
async fn tls_is_spoken_only_with_a_server_that_proves_its_name() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let certificate = issued.cert.der().clone();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.clone()],
            rustls_pki_types::PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let (_, api) = crate::admin::fake::api();
    let server = tokio::spawn(async move {
        for _ in 0..3 {
            let (stream, address) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                let peer = crate::admin::AdminPeer::Network(address);
                let (seat, never) = (std::sync::Arc::default(), std::future::pending());
                crate::admin::serve_connection(Box::new(stream), peer, seat, api.clone(), never).await;
            }
        }
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    for (host, trusted, fine) in [("localhost", true, true), ("localhost", false, false), ("127.0.0.1", true, false)] {
        let client = AdminClient::new(&format!("https://{host}:{port}"), Some("viewer-token")).unwrap();
        let client = client.trusting(if trusted { roots.clone() } else { rustls::RootCertStore::empty() });
        let answered = client.call::<crate::admin::VendorList>(http::Method::GET, "/v1/vendors", None).await;
        assert_eq!(answered.is_ok(), fine, "{host} {trusted}: {answered:?}");
        if let Err(error) = answered {
            assert!(error.report().contains("SSL_CERT_FILE"), "{}", error.report());
        }
    }
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_no_gateway_is_reported_as_such() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = AdminClient::new(&format!("http://{}", listener.local_addr().unwrap()), None).unwrap();
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        for answer in ["HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nnginx", "SSH-2.0-x\r\n\r\n"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let error = client.call::<crate::admin::VendorList>(http::Method::GET, "/v1/vendors", None).await.unwrap_err();
    assert!(error.to_string().ends_with("(status 404)"), "{error}");
    let error = client.call::<crate::admin::VendorList>(http::Method::GET, "/v1/vendors", None).await.unwrap_err();
    assert!(matches!(error, CliError::NoResponse { .. }), "{error}");
    server.await.unwrap();
}

#[test]
fn every_verb_has_help_with_an_example_and_refuses_what_it_cannot_use() {
    fn help<A: clap::Args>() -> String {
        A::augment_args(Command::new("verb")).render_long_help().to_string()
    }
    let helps = [
        help::<kill::KillArgs>(),
        help::<restore::RestoreArgs>(),
        help::<drill::DrillArgs>(),
        help::<reveal::RevealArgs>(),
        help::<revoke::RevokeArgs>(),
        help::<status::StatusArgs>(),
        help::<exposure::ExposureArgs>(),
        help::<suggest::SuggestArgs>(),
        help::<audit::AuditTailArgs>(),
        help::<health::HealthArgs>(),
    ];
    for text in helps {
        assert!(text.contains("Example") && text.contains("  vendorgate ") && text.contains("--admin <URL>"), "{text}");
    }
    for bad in ["", "acme", "--reason|x", "acme|--all|--reason|x", "acme|--reason|x|--direction|up"] {
        assert!(args::<kill::KillArgs>(bad).is_err(), "{bad}");
    }
    for bad in ["acme|--reason|x", "acme|--jti|1|--client|c|--reason|x", "acme|--jti|1"] {
        assert!(args::<revoke::RevokeArgs>(bad).is_err(), "{bad}");
    }
    assert!(args::<exposure::ExposureArgs>("acme|--md|--json").is_err());
}

#[tokio::test]
async fn a_token_is_revealed_to_the_privacy_role_only() {
    let listener = FakeListener::start().await;
    let (ended, said) = check!(listener, "privacy-token", reveal::execute, "tok1_x|--reason|ticket 7");
    assert_eq!((ended.unwrap(), said.as_str()), (Exit::Yes, "bob@example.com\n"));
    assert_eq!(listener.fake.last_act(), "privacy acme reveal \"ticket 7\"");
    let (ended, said) = check!(listener, "privacy-token", reveal::execute, "forged|--reason|ticket 7");
    assert!(refused(ended).contains("those of a shredded or unlisted vendor never open"), "{said}");
    let (ended, _) = check!(listener, "admin-token", reveal::execute, "tok1_x|--reason|ticket 7");
    assert!(refused(ended).contains("privacy"));
    listener.stop().await;
}

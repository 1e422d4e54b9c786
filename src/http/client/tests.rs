//! The client against real sockets: bounds, deadlines, TLS both ways, and what it refuses to ask.

use std::io::Write as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

fn options() -> ClientOptions {
    ClientOptions::new(Duration::from_secs(5), 1000)
}

async fn answer_with(answer: &'static [u8]) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/keys?x=1", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..read]).to_lowercase();
            assert!(head.starts_with("get /keys?x=1 http/1.1\r\n") && head.contains("\r\nhost: 127.0.0.1:"), "{head}");
            stream.write_all(answer).await.expect("written");
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
        }
    });
    Url::parse_protected(&url, false).expect("loopback")
}

async fn check(answer: &'static [u8], options: ClientOptions) -> Result<(u16, String), ClientError> {
    let url = answer_with(answer).await;
    let got = HttpClient::new(options).expect("a client").get(&url, HeaderMap::new()).await?;
    Ok((got.status.as_u16(), String::from_utf8_lossy(&got.body).into_owned()))
}

#[tokio::test]
async fn an_answer_with_two_readings_is_refused() {
    let answers: [&[u8]; 6] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\ncontent-length: 2\n\nhi",
        b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nhi",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhi",
    ];
    for answer in answers {
        let got = check(answer, options()).await;
        assert!(matches!(got, Err(ClientError::Http(_))), "{got:?}: {}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_late_or_too_large_is_an_error() {
    let good = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
    assert_eq!(check(good, options()).await.expect("an answer"), (200, "hi".into()));
    let moved = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(check(moved, options()).await.expect("an answer").0, 302);
    let closed = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end";
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhi";
    assert!(matches!(check(b"nonsense\r\n\r\n", options()).await, Err(ClientError::Http(_))));
    let quick = ClientOptions { deadline: Duration::from_millis(200), ..options() };
    assert!(matches!(check(b"", quick.clone()).await, Err(ClientError::Deadline(_))));
    assert!(check(cut, quick.clone()).await.is_err(), "an answer cut short is none");
    assert_eq!(check(closed, options()).await.expect("an answer").1, "to the end");
    let small = ClientOptions { body_bytes_max: 1, ..options() };
    assert!(matches!(check(good, small).await, Err(ClientError::TooLarge(1))));
}

#[test]
fn gzip_that_nobody_asked_for_is_undone_within_the_bound() {
    let gzip = |text: &[u8]| {
        let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        coder.write_all(text).expect("memory");
        coder.finish().expect("memory")
    };
    let value = |text: &'static str| Some(HeaderValue::from_static(text));
    let check = |body: &[u8], encoding: Option<HeaderValue>| decoded(body.to_vec(), encoding.as_ref(), 1000);
    for encoding in [None, value("gzip"), value("x-gzip"), value("identity")] {
        assert_eq!(check(&gzip(b"{}"), encoding).expect("read"), b"{}");
    }
    assert_eq!(check(b"{}", value("identity")).expect("read"), b"{}");
    assert!(matches!(check(b"{}", value("br")), Err(ClientError::Encoding)));
    assert!(matches!(check(b"{}", value("gzip")), Err(ClientError::Encoding)));
    assert!(matches!(check(&gzip(b"{}")[..12], value("gzip")), Err(ClientError::Encoding)));
    assert!(matches!(check(&gzip(&[b'x'; 1001]), value("gzip")), Err(ClientError::TooLarge(1000))));
}

#[tokio::test]
async fn tls_needs_a_known_authority_and_can_present_a_certificate() {
    let files = tempfile::tempdir().expect("a folder");
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (ca, key) = (files.path().join("ca.pem"), files.path().join("key.pem"));
    std::fs::File::create(&ca).expect("file").write_all(issued.cert.pem().as_bytes()).expect("written");
    std::fs::File::create(&key)
        .expect("file")
        .write_all(issued.signing_key.serialize_pem().as_bytes())
        .expect("written");
    let port = serve_tls(&ca, &key).await;
    let url = Url::parse(&format!("https://localhost:{port}/")).expect("https");

    let stranger = HttpClient::new(options()).expect("a client");
    assert!(matches!(stranger.get(&url, HeaderMap::new()).await, Err(ClientError::Connect(_))));
    let anonymous = HttpClient::new(ClientOptions { ca_file: Some(ca.clone()), ..options() }).expect("a client");
    assert!(anonymous.get(&url, HeaderMap::new()).await.is_err(), "the server wants a certificate");
    let known = ClientOptions { ca_file: Some(ca.clone()), client_certificate: Some((ca, key)), ..options() };
    let got = HttpClient::new(known).expect("a client").get(&url, HeaderMap::new()).await.expect("an answer");
    assert_eq!(&got.body[..], b"hi");
}

/// A server that asks its clients for the same self-signed certificate that it shows.
async fn serve_tls(ca: &Path, key: &Path) -> u16 {
    let mut roots = RootCertStore::empty();
    roots.extend(read_pem(ca, pem::certificate_authorities).expect("certificates").roots.roots);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients.build().expect("a verifier"))
        .with_single_cert(
            read_pem(ca, pem::certificate_chain).expect("certificates"),
            read_pem(key, pem::private_key).expect("a key"),
        )
        .expect("a config");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        }
    });
    port
}

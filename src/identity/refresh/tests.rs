//! A real key server that rotates, goes away, answers garbage and answers slowly; and floods of unknown keys.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::super::{
    Algorithm, Authority, Contract, Directory, Presented, Rejected, Rotation, Sender, Settings, SigningKey, Verified,
};
use super::*;
use crate::model::{ClientId, Clock, Reason, VendorId};

/// What the issuer answers at present.
#[derive(Clone)]
enum Mood {
    Serve(String),
    Error,
    Slow(Duration),
}

struct Issuer {
    address: String,
    mood: Arc<Mutex<Mood>>,
    keys_asked: Arc<AtomicUsize>,
    not_modified: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let issuer = Self {
            address: address.clone(),
            mood: Arc::new(Mutex::new(mood)),
            keys_asked: Arc::default(),
            not_modified: Arc::default(),
        };
        let (mood, asked, unchanged) =
            (Arc::clone(&issuer.mood), Arc::clone(&issuer.keys_asked), Arc::clone(&issuer.not_modified));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mood, asked, unchanged, address) =
                    (Arc::clone(&mood), Arc::clone(&asked), Arc::clone(&unchanged), address.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let now = mood.lock().expect("not poisoned").clone();
                    let (asked, unchanged, address) = (Arc::clone(&asked), Arc::clone(&unchanged), address.clone());
                    async move { answer(&request, now, &asked, &unchanged, &address).await }
                });
                let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(served);
            }
        });
        issuer
    }

    fn turn(&self, mood: Mood) {
        *self.mood.lock().expect("not poisoned") = mood;
    }

    fn asked(&self) -> usize {
        self.keys_asked.load(Ordering::SeqCst)
    }
}

async fn answer(
    request: &Request<Incoming>,
    mood: Mood,
    asked: &AtomicUsize,
    unchanged: &AtomicUsize,
    address: &str,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let plain = |status: u16, body: String| Response::builder().status(status).body(Full::from(body)).expect("valid");
    if request.uri().path().starts_with("/.well-known/oauth-authorization-server") {
        return Ok(plain(404, String::new()));
    }
    if request.uri().path() == "/tenant/.well-known/openid-configuration" {
        return Ok(plain(200, format!(r#"{{"issuer":"{address}/tenant","jwks_uri":"{address}/jwks"}}"#)));
    }
    asked.fetch_add(1, Ordering::SeqCst);
    match mood {
        Mood::Error => Ok(plain(500, String::new())),
        Mood::Slow(pause) => {
            tokio::time::sleep(pause).await;
            Ok(plain(500, String::new()))
        }
        Mood::Serve(document) => {
            let tag = format!("\"{}\"", blake3::hash(document.as_bytes()).to_hex());
            if request.headers().get(IF_NONE_MATCH).is_some_and(|known| known == tag.as_str()) {
                unchanged.fetch_add(1, Ordering::SeqCst);
                return Ok(plain(304, String::new()));
            }
            let response = Response::builder().header(ETAG, tag).header(CACHE_CONTROL, "public, max-age=0");
            Ok(response.body(Full::from(document)).expect("valid"))
        }
    }
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Algorithm::EdDSA, kid).expect("a key")
}

fn jwks(keys: &[&SigningKey]) -> Mood {
    Mood::Serve(format!(r#"{{"keys":[{}]}}"#, keys.iter().map(|key| key.public_jwk()).collect::<Vec<_>>().join(",")))
}

struct Gateway {
    clock: Clock,
    _authority: Authority,
    directory: Directory,
}

impl Gateway {
    fn new(issuer: &str, keys: KeySource, fetch: FetchSettings) -> Self {
        let clock = Clock::system();
        let authority = Authority::forgetful(clock.clone()).expect("randomness");
        let settings = Settings {
            issuer: issuer.into(),
            audience: "https://api.test".into(),
            clients: vec![ClientId::new("c")],
            keys,
            algorithms: vec![Algorithm::EdDSA],
            sender: Sender::None,
            accept_plain_jwt: false,
            clock_skew: Duration::from_secs(30),
            rotation: Rotation::default(),
            fetch,
        };
        let vendor = VendorId::parse("acme").expect("an id");
        let contract = Contract { index: 0, vendor, identity: settings.into() };
        let directory = authority.directory(vec![contract]).expect("a directory");
        directory.start(&tokio::runtime::Handle::current());
        Self { clock, _authority: authority, directory }
    }

    async fn by_url(issuer: &Issuer, cooldown: Duration) -> Self {
        let keys = KeySource::Url { url: format!("{}/jwks", issuer.address), refresh: Duration::from_millis(200) };
        let fetch = FetchSettings { cooldown, deadline: Duration::from_secs(1), ..FetchSettings::default() };
        let gateway = Self::new("https://id.test", keys, fetch);
        gateway.directory.warm(Duration::from_secs(5)).await;
        gateway
    }

    fn token(&self, key: &SigningKey, issuer: &str) -> String {
        let now = self.clock.now().wall.as_secs();
        let claims =
            format!(r#"{{"iss":"{issuer}","aud":"https://api.test","sub":"c","iat":{now},"exp":{}}}"#, now + 60);
        key.sign(&claims).expect("a token")
    }

    fn ask(&self, token: &str) -> Result<Arc<Verified>, Rejected> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().expect("a value"));
        let presented = Presented {
            headers: &headers,
            method: &Method::GET,
            scheme: "https",
            authority: "api.test",
            path: "/",
            query: None,
            peer_certificate: None,
        };
        self.directory.authenticate(&presented, self.clock.now())
    }

    /// As the gateway does: one wait at most, then the answer.
    async fn ask_patiently(&self, key: &SigningKey) -> Result<(), Reason> {
        let token = self.token(key, "https://id.test");
        let first = self.ask(&token);
        let again = match first {
            Err(Rejected { wait: Some(wait), .. }) => {
                wait.settled(Duration::from_secs(2)).await;
                self.ask(&token)
            }
            Ok(_) | Err(_) => first,
        };
        again.map(|_| ()).map_err(|rejected| rejected.denial.reason)
    }

    /// Waits until the key source has been looked at `more` times again.
    async fn looks(&self, more: u64) {
        let mut looks = self.directory.vendor(0).expect("a vendor").ring.looks();
        let target = *looks.borrow() + more;
        let reached = looks.wait_for(|count| *count >= target);
        tokio::time::timeout(Duration::from_secs(10), reached).await.expect("looked").expect("a ring");
    }
}

#[tokio::test]
async fn a_rotation_refuses_no_valid_request() {
    let (old, new) = (key("old"), key("new"));
    let issuer = Issuer::start(jwks(&[&old])).await;
    let gateway = Gateway::by_url(&issuer, Duration::ZERO).await;
    assert_eq!(gateway.ask_patiently(&old).await, Ok(()));
    issuer.turn(jwks(&[&old, &new]));
    assert_eq!(gateway.ask_patiently(&new).await, Ok(()), "an unknown kid is fetched once");
    assert_eq!(gateway.ask_patiently(&old).await, Ok(()));
    issuer.turn(jwks(&[&new]));
    gateway.looks(2).await;
    assert_eq!(gateway.ask_patiently(&old).await, Err(Reason::TokenInvalid), "a withdrawn key dies within a refresh");
    assert_eq!(gateway.ask_patiently(&new).await, Ok(()));
    gateway.looks(2).await;
    assert!(issuer.not_modified.load(Ordering::SeqCst) > 0, "conditional requests are used");
}

#[tokio::test]
async fn neither_errors_nor_garbage_replace_good_keys() {
    let good = key("good");
    let issuer = Issuer::start(jwks(&[&good])).await;
    let gateway = Gateway::by_url(&issuer, Duration::from_millis(50)).await;
    let bad =
        ["", "<html>", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#, r#"{"keys":[],"keys":[]}"#];
    for mood in bad.map(|text| Mood::Serve(text.to_owned())).into_iter().chain([Mood::Error]) {
        issuer.turn(mood);
        gateway.looks(2).await;
        assert_eq!(gateway.ask_patiently(&good).await, Ok(()));
        let status = gateway.directory.key_status(0).expect("a vendor");
        assert!(status.last_error.is_some() && status.keys.len() == 1, "{status:?}");
    }
    issuer.turn(jwks(&[&good]));
    gateway.looks(2).await;
    let status = gateway.directory.key_status(0).expect("a vendor");
    assert!(status.last_error.is_none() && status.outcomes.iter().all(|count| *count > 0), "{status:?}");
}

#[tokio::test]
async fn a_cold_start_without_an_issuer_fails_closed_and_heals() {
    let good = key("good");
    let issuer = Issuer::start(Mood::Error).await;
    let gateway = Gateway::by_url(&issuer, Duration::from_millis(50)).await;
    assert_eq!(gateway.ask_patiently(&good).await, Err(Reason::IssuerUnavailable));
    issuer.turn(jwks(&[&good]));
    gateway.looks(2).await;
    assert_eq!(gateway.ask_patiently(&good).await, Ok(()));
}

#[tokio::test]
async fn a_flood_of_unknown_kids_costs_a_handful_of_fetches_and_delays_no_known_key() {
    let good = key("good");
    let issuer = Issuer::start(jwks(&[&good])).await;
    let keys = KeySource::Url { url: format!("{}/jwks", issuer.address), refresh: Duration::from_secs(300) };
    let fetch = FetchSettings {
        cooldown: Duration::from_secs(30),
        deadline: Duration::from_secs(1),
        ..FetchSettings::default()
    };
    let gateway = Gateway::new("https://id.test", keys, fetch);
    gateway.directory.warm(Duration::from_secs(5)).await;
    let known = gateway.token(&good, "https://id.test");
    issuer.turn(Mood::Slow(Duration::from_millis(500)));
    let stranger = key("stranger");
    let mut waiting = 0;
    for kid in 0..5000 {
        let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"k{kid}"}}"#);
        let token = stranger.sign_raw(&header, r#"{"iss":"https://id.test","sub":"c"}"#).expect("a token");
        let rejected = gateway.ask(&token).expect_err("unknown");
        assert_eq!(rejected.denial.reason, Reason::TokenInvalid);
        waiting += usize::from(rejected.wait.is_some());
        assert!(gateway.ask(&known).is_ok());
    }
    assert_eq!((waiting, issuer.asked()), (0, 1), "the cool-down began with the last fetch");
}

#[tokio::test]
async fn keys_are_found_by_the_issuers_own_metadata() {
    let good = key("good");
    let issuer = Issuer::start(jwks(&[&good])).await;
    let name = format!("{}/tenant", issuer.address);
    let keys = KeySource::Discovery { refresh: Duration::from_millis(200) };
    let gateway = Gateway::new(&name, keys, FetchSettings::default());
    gateway.directory.warm(Duration::from_secs(5)).await;
    assert!(gateway.ask(&gateway.token(&good, &name)).is_ok(), "{:?}", gateway.directory.key_status(0));
}

#[tokio::test]
async fn a_key_file_is_read_again_when_it_changes() {
    let (old, new) = (key("old"), key("new"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jwks.json");
    let write = |mood: Mood| match mood {
        Mood::Serve(text) => std::fs::write(&path, text).expect("written"),
        Mood::Error | Mood::Slow(_) => {}
    };
    write(jwks(&[&old]));
    let gateway = Gateway::new("https://id.test", KeySource::File(path.clone()), FetchSettings::default());
    assert_eq!(gateway.ask_patiently(&old).await, Ok(()), "read before anything is served");
    std::fs::write(&path, "{").expect("written");
    gateway.looks(2).await;
    assert_eq!(gateway.ask_patiently(&old).await, Ok(()), "a torn file replaces nothing");
    write(jwks(&[&new]));
    gateway.looks(2).await;
    assert_eq!(
        (gateway.ask_patiently(&new).await, gateway.ask_patiently(&old).await),
        (Ok(()), Err(Reason::TokenInvalid))
    );
}

#[test]
fn an_issuers_cache_control_counts_within_our_bounds() {
    let check = |pairs: &[(HeaderName, &str)], refresh: u64| {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect();
        pause_for(&headers, Duration::from_secs(refresh)).as_secs_f64()
    };
    let near = |got: f64, want: f64| got <= want && got >= want * 0.79;
    assert!(near(check(&[], 300), 300.0));
    assert!(near(check(&[(CACHE_CONTROL, "public, Max-Age=120")], 300), 120.0));
    assert!(near(check(&[(CACHE_CONTROL, "max-age=120"), (AGE, "60")], 300), 60.0));
    assert!(near(check(&[(CACHE_CONTROL, "max-age=86400")], 300), 300.0), "never later than the contract says");
    assert!(near(check(&[(CACHE_CONTROL, "no-store")], 300), 30.0), "never in a tight loop");
    assert!(near(check(&[(CACHE_CONTROL, "max-age=1")], 10), 10.0));
}

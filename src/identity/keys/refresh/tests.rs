//! A real key server that rotates, goes away, answers garbage and answers slowly; and floods of unknown keys.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use crate::bounds::{KEYS_COOLDOWN, KEYS_FETCH_BURST};
use crate::identity::fixture::{AUDIENCE, CLIENT, IssuerFixture, plain, serve};
use crate::identity::keys::signing::SigningKey;
use crate::model::{Algorithm, Reason};

use super::*;

/// What the issuer answers at present.
#[derive(Clone)]
enum Mood {
    Serve(String),
    Error,
}

#[derive(Clone)]
struct Issuer {
    address: String,
    mood: Arc<Mutex<Mood>>,
    /// How long an answer takes after its content was chosen.
    latency: Duration,
    keys_asked: Arc<AtomicUsize>,
    not_modified: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(mood: Mood) -> Self {
        Self::slow(mood, Duration::ZERO).await
    }

    async fn slow(mood: Mood, latency: Duration) -> Self {
        let mut issuer = Self {
            address: String::new(),
            mood: Arc::new(Mutex::new(mood)),
            latency,
            keys_asked: Arc::default(),
            not_modified: Arc::default(),
        };
        let serving = issuer.clone();
        issuer.address = serve(move |request| serving.clone().answer(request)).await;
        issuer
    }

    fn turn(&self, mood: Mood) {
        *self.mood.lock().expect("not poisoned") = mood;
    }

    fn asked(&self) -> usize {
        self.keys_asked.load(Ordering::SeqCst)
    }

    async fn answer(self, request: Request<Vec<u8>>) -> Response<Full<Bytes>> {
        if request.uri().path().starts_with("/.well-known/oauth-authorization-server") {
            return plain(404, String::new());
        }
        if request.uri().path() == "/tenant/.well-known/openid-configuration" {
            let address = format!("http://{}", request.headers()["host"].to_str().expect("text"));
            return plain(200, format!(r#"{{"issuer":"{address}/tenant","jwks_uri":"{address}/jwks"}}"#));
        }
        self.keys_asked.fetch_add(1, Ordering::SeqCst);
        let mood = self.mood.lock().expect("not poisoned").clone();
        tokio::time::sleep(self.latency).await;
        let Mood::Serve(document) = mood else { return plain(500, String::new()) };
        let tag = format!("\"{}\"", blake3::hash(document.as_bytes()).to_hex());
        if request.headers().get(IF_NONE_MATCH).is_some_and(|known| known == tag.as_str()) {
            self.not_modified.fetch_add(1, Ordering::SeqCst);
            return plain(304, String::new());
        }
        let response = Response::builder().header(ETAG, tag).header(CACHE_CONTROL, "public, max-age=0");
        response.body(Full::from(document)).expect("valid")
    }
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Algorithm::EdDSA, kid).expect("a key")
}

fn jwks(keys: &[&SigningKey]) -> Mood {
    Mood::Serve(format!(r#"{{"keys":[{}]}}"#, keys.iter().map(|key| key.public_jwk()).collect::<Vec<_>>().join(",")))
}

const ISSUER: &str = "https://id.test";

impl IssuerFixture {
    async fn by_url(issuer: &Issuer, cooldown: Duration) -> Self {
        let keys = KeySource::Url { url: format!("{}/jwks", issuer.address), refresh: Duration::from_millis(200) };
        let fetch = FetchSettings { cooldown, deadline: Duration::from_secs(1), ..FetchSettings::default() };
        let gateway = Self::new(ISSUER, keys, fetch);
        gateway.directory.warm(Duration::from_secs(5)).await;
        gateway
    }

    fn token(&self, key: &SigningKey, issuer: &str) -> String {
        let now = self.clock.now().wall.as_secs();
        let claims =
            format!(r#"{{"iss":"{issuer}","aud":"{AUDIENCE}","sub":"{CLIENT}","iat":{now},"exp":{}}}"#, now + 60);
        key.sign(&claims).expect("a token")
    }

    async fn ask_with(&self, key: &SigningKey) -> Result<(), Reason> {
        self.ask_patiently(&self.token(key, ISSUER)).await
    }

    /// Waits until `more` further refreshes have ended.
    async fn looks(&self, more: u64) {
        let mut looks = self.directory.vendor(0).expect("a vendor").issuer_keys.ended_refreshes();
        let target = *looks.borrow() + more;
        let reached = looks.wait_for(|count| *count >= target);
        tokio::time::timeout(Duration::from_secs(10), reached).await.expect("looked").expect("a ring");
    }
}

#[tokio::test]
async fn a_rotation_refuses_no_valid_request() {
    let (old, new) = (key("old"), key("new"));
    let issuer = Issuer::start(jwks(&[&old])).await;
    let gateway = IssuerFixture::by_url(&issuer, Duration::ZERO).await;
    assert_eq!(gateway.ask_with(&old).await, Ok(()));
    issuer.turn(jwks(&[&old, &new]));
    assert_eq!(gateway.ask_with(&new).await, Ok(()), "an unknown kid is fetched once");
    assert_eq!(gateway.ask_with(&old).await, Ok(()));
    issuer.turn(jwks(&[&new]));
    gateway.looks(2).await;
    assert_eq!(gateway.ask_with(&old).await, Err(Reason::TokenInvalid), "a withdrawn key dies within a refresh");
    assert_eq!(gateway.ask_with(&new).await, Ok(()));
    gateway.looks(2).await;
    assert!(issuer.not_modified.load(Ordering::SeqCst) > 0, "conditional requests are used");
}

#[tokio::test]
async fn the_first_request_with_a_new_key_passes_although_a_refresh_began_before_it() {
    let old = key("old");
    let issuer = Issuer::slow(jwks(&[&old]), Duration::from_millis(2)).await;
    let gateway = Arc::new(IssuerFixture::by_url(&issuer, Duration::ZERO).await);
    for round in 0..100 {
        let (new, stranger) = (key(&format!("new{round}")), key("stranger"));
        let (token, strange) = (gateway.token(&new, ISSUER), gateway.token(&stranger, ISSUER));
        let asking = |token: &str| {
            let (gateway, token) = (Arc::clone(&gateway), token.to_owned());
            tokio::spawn(async move { gateway.ask_patiently(&token).await })
        };
        let strangers: Vec<_> = (0..4).map(|_| asking(&strange)).collect();
        tokio::time::sleep(Duration::from_micros(50 * (round % 64))).await;
        issuer.turn(jwks(&[&old, &new]));
        let honest: Vec<_> = (0..8).map(|_| asking(&token)).collect();
        for (at, answer) in honest.into_iter().enumerate() {
            assert_eq!(answer.await.expect("finished"), Ok(()), "round {round}, request {at}");
        }
        for answer in strangers {
            assert_eq!(answer.await.expect("finished"), Err(Reason::TokenInvalid));
        }
    }
}

#[tokio::test]
async fn neither_errors_nor_garbage_replace_good_keys() {
    let good = key("good");
    let issuer = Issuer::start(jwks(&[&good])).await;
    let gateway = IssuerFixture::by_url(&issuer, Duration::from_millis(50)).await;
    let bad =
        ["", "<html>", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#, r#"{"keys":[],"keys":[]}"#];
    for mood in bad.map(|text| Mood::Serve(text.to_owned())).into_iter().chain([Mood::Error]) {
        issuer.turn(mood);
        gateway.looks(2).await;
        assert_eq!(gateway.ask_with(&good).await, Ok(()));
        let status = gateway.directory.key_status(0).expect("a vendor");
        assert!(status.last_error.is_some() && status.keys == 1, "{status:?}");
    }
    issuer.turn(jwks(&[&good]));
    gateway.looks(2).await;
    let status = gateway.directory.key_status(0).expect("a vendor");
    assert!(status.last_error.is_none() && status.outcomes.iter().all(|count| *count > 0), "{status:?}");
}

#[tokio::test]
async fn a_start_without_an_issuer_refuses_and_recovers() {
    let good = key("good");
    let issuer = Issuer::start(Mood::Error).await;
    let gateway = IssuerFixture::by_url(&issuer, Duration::from_millis(50)).await;
    assert_eq!(gateway.ask_with(&good).await, Err(Reason::IssuerUnavailable));
    issuer.turn(jwks(&[&good]));
    gateway.looks(2).await;
    assert_eq!(gateway.ask_with(&good).await, Ok(()));
}

impl IssuerFixture {
    /// A gateway under a flood of unknown keys, which ends when the value is dropped.
    async fn flooded(issuer: &Issuer, cooldown: Duration) -> (Arc<Self>, tokio::task::JoinSet<()>) {
        let keys = KeySource::Url { url: format!("{}/jwks", issuer.address), refresh: Duration::from_secs(300) };
        let fetch = FetchSettings { cooldown, deadline: Duration::from_secs(1), ..FetchSettings::default() };
        let gateway = Arc::new(Self::new(ISSUER, keys, fetch));
        gateway.directory.warm(Duration::from_secs(5)).await;
        let stranger = Arc::new(key("stranger"));
        let mut flood = tokio::task::JoinSet::new();
        for source in 0..300 {
            let (gateway, stranger) = (Arc::clone(&gateway), Arc::clone(&stranger));
            flood.spawn(async move {
                for turn in 0.. {
                    let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{source}.{turn}"}}"#);
                    let claims = format!(r#"{{"iss":"{ISSUER}","sub":"{CLIENT}"}}"#);
                    let token = stranger.sign_raw(&header, &claims).expect("a token");
                    assert_eq!(gateway.ask_patiently(&token).await, Err(Reason::TokenInvalid));
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        }
        (gateway, flood)
    }
}

#[tokio::test]
async fn a_flood_of_unknown_kids_costs_a_handful_of_fetches_and_delays_no_known_key() {
    let good = key("good");
    let issuer = Issuer::slow(jwks(&[&good]), Duration::from_millis(20)).await;
    let (gateway, _flood) = IssuerFixture::flooded(&issuer, KEYS_COOLDOWN).await;
    let known = gateway.token(&good, ISSUER);
    for _ in 0..100 {
        assert!(gateway.ask(&known).is_ok());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(issuer.asked(), 1 + KEYS_FETCH_BURST as usize, "our own, and what strangers may cause");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "what is bounded is a time")]
async fn a_flood_of_unknown_kids_keeps_a_new_key_out_for_a_cool_down_at_most() {
    let (old, new) = (key("old"), key("new"));
    let issuer = Issuer::slow(jwks(&[&old]), Duration::from_millis(2)).await;
    let cooldown = Duration::from_secs(3);
    let began = std::time::Instant::now();
    let (gateway, _flood) = IssuerFixture::flooded(&issuer, cooldown).await;
    while issuer.asked() < 1 + KEYS_FETCH_BURST as usize {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    issuer.turn(jwks(&[&old, &new]));
    let rotated = std::time::Instant::now();
    let token = gateway.token(&new, ISSUER);
    while gateway.ask_patiently(&token).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (kept_out, ran) = (rotated.elapsed(), began.elapsed());
    // The machine may be busy: one second more is not yet a second cool-down.
    assert!(kept_out < cooldown + Duration::from_secs(1), "{kept_out:?}");
    let allowed = 1 + KEYS_FETCH_BURST as usize + (ran.as_secs_f64() / cooldown.as_secs_f64()) as usize;
    assert!(issuer.asked() <= allowed, "{} fetches in {ran:?}", issuer.asked());
}

#[tokio::test]
async fn keys_are_found_by_the_issuers_own_metadata() {
    let good = key("good");
    let issuer = Issuer::start(jwks(&[&good])).await;
    let name = format!("{}/tenant", issuer.address);
    let keys = KeySource::Discovery { refresh: Duration::from_millis(200) };
    let gateway = IssuerFixture::new(&name, keys, FetchSettings::default());
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
        Mood::Error => {}
    };
    write(jwks(&[&old]));
    let gateway = IssuerFixture::new(ISSUER, KeySource::File(path.clone()), FetchSettings::default());
    assert_eq!(gateway.ask_with(&old).await, Ok(()), "read before anything is served");
    std::fs::write(&path, "{").expect("written");
    gateway.looks(2).await;
    assert_eq!(gateway.ask_with(&old).await, Ok(()), "a torn file replaces nothing");
    write(jwks(&[&new]));
    gateway.looks(2).await;
    assert_eq!((gateway.ask_with(&new).await, gateway.ask_with(&old).await), (Ok(()), Err(Reason::TokenInvalid)));
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

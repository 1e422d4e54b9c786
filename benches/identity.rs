//! What identity costs in processor time: a cached token, and a first token for each algorithm; and the memory of a
//! million tokens.
//!
//! `cargo bench --bench identity`; the last, which takes two minutes, by `cargo bench --bench identity -- memory`.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use vendorgate::internals::identity::{
    Algorithm, ClaimNames, Directory, FetchSettings, IdentityContract, IdentityState, KeySource, NullIdentityStore,
    PresentedRequest, RotationRules, SenderBinding, SigningKey, TokenSettings, TokenShape,
};
use vendorgate::internals::model::{ClientId, Clock, UnixTime, VendorId};

const NOW: u64 = 1_800_000_000;

struct Bench {
    clock: Clock,
    authority: IdentityState,
    directory: Directory,
    keys: Vec<SigningKey>,
}

fn bench(cache_bytes_max: u64) -> Bench {
    let clock = Clock::manual(UnixTime::from_secs(NOW));
    let store = Arc::new(NullIdentityStore);
    let authority =
        IdentityState::with_cache(clock.clone(), store.clone(), store, cache_bytes_max).expect("randomness");
    let make = |algorithm: Algorithm| SigningKey::generate(algorithm, algorithm.as_str()).expect("a key");
    let keys: Vec<SigningKey> = Algorithm::ALL.into_iter().map(make).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jwks.json");
    let all = keys.iter().map(SigningKey::public_jwk).collect::<Vec<_>>().join(",");
    std::fs::write(&path, format!(r#"{{"keys":[{all}]}}"#)).expect("written");
    let settings = TokenSettings {
        profile: None,
        issuer: "https://id.example.com".into(),
        audience: Some("https://api.example.com".into()),
        clients: vec![ClientId::new("acme-batch")],
        keys: KeySource::File(path),
        algorithms: Algorithm::ALL.to_vec(),
        sender: SenderBinding::None,
        claims: ClaimNames::default(),
        shape: TokenShape { accept_plain_jwt: false, ..TokenShape::default() },
        clock_skew: Duration::from_secs(30),
        rotation: RotationRules {
            max_lifetime: Some(Duration::from_secs(3600)),
            max_age: Some(Duration::from_secs(3600)),
            superseded_grace: Some(Duration::from_secs(120)),
            max_key_age: Some(Duration::from_secs(90 * 86_400)),
            ..RotationRules::default()
        },
        fetch: FetchSettings::default(),
    };
    let vendor = VendorId::parse("acme-analytics").expect("an id");
    let contract = IdentityContract { index: 0, vendor, identity: settings.into() };
    let directory = authority.directory(vec![contract]).expect("a directory");
    Bench { clock, authority, directory, keys }
}

impl Bench {
    fn token(&self, key: &SigningKey, id: u64) -> String {
        let claims = format!(
            r#"{{"iss":"https://id.example.com","aud":"https://api.example.com","client_id":"acme-batch","sub":"acme-batch","iat":{NOW},"exp":{},"jti":"{id:032x}","scope":"customers:read orders:read"}}"#,
            NOW + 600
        );
        key.sign(&claims).expect("a token")
    }

    fn accepts(&self, headers: &HeaderMap) -> bool {
        let presented = PresentedRequest {
            headers,
            method: &Method::GET,
            scheme: "https",
            authority: "api.example.com",
            path: "/v1/customers",
            query: None,
            peer_certificate: None,
        };
        self.directory.authenticate(black_box(&presented), self.clock.now()).is_ok()
    }
}

fn with_token(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut value = String::from("Bearer ");
    let _ = value.write_str(token);
    headers.insert(AUTHORIZATION, value.parse().expect("a value"));
    headers
}

fn hits_and_misses(criterion: &mut Criterion) {
    let remembering = bench(64 << 20);
    let forgetting = bench(1);
    for algorithm in Algorithm::ALL {
        let name = algorithm.as_str();
        let find = |bench: &Bench| {
            with_token(&bench.token(bench.keys.iter().find(|key| key.algorithm() == algorithm).expect("a key"), 1))
        };
        let headers = find(&remembering);
        assert!(remembering.accepts(&headers));
        let bytes = headers[AUTHORIZATION].len();
        criterion.bench_function(&format!("hit/{name}/{bytes}B"), |b| {
            b.iter_custom(|times| cpu_time(times, || assert!(remembering.accepts(&headers))))
        });
        let headers = find(&forgetting);
        criterion.bench_function(&format!("miss/{name}"), |b| {
            b.iter_custom(|times| cpu_time(times, || assert!(forgetting.accepts(&headers))))
        });
    }
}

/// The CPU time of this thread, which a busy machine hardly changes.
fn cpu_time(times: u64, act: impl Fn()) -> Duration {
    let before = on_processor_ns();
    (0..times).for_each(|_| act());
    Duration::from_nanos((on_processor_ns() - before).max(1))
}

fn on_processor_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

/// A million different tokens through a cache of 64 MiB: how much the process grows.
fn memory(_: &mut Criterion) {
    if !std::env::args().any(|argument| argument == "memory") {
        return;
    }
    let bench = bench(64 << 20);
    let key = bench.keys.iter().find(|key| key.algorithm() == Algorithm::EdDSA).expect("a key");
    let before = resident_kib();
    for id in 0..1_000_000 {
        assert!(bench.accepts(&with_token(&bench.token(key, id))));
    }
    let status = bench.authority.cache_status();
    println!(
        "memory: {} tokens held in {} KiB by count, process grew by {} KiB",
        status.entries,
        status.bytes / 1024,
        resident_kib() - before
    );
}

fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|text| text.parse().ok()).unwrap_or(0)
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = hits_and_misses, memory
}
criterion_main!(benches);

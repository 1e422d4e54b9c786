//! What admission costs: all its steps in the order of the gateway, with a cached token.
//!
//! `cargo bench --bench admit`. Steps: one strict reading of the head, the caller by the verified-token cache with
//! dates, rotation and revocation judged again, the route, the registration at the kill switch, the chain of policies.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::request::Parts;
use http::{Method, Request};
use vendorgate::internals::http::screen;
use vendorgate::internals::identity::{
    Algorithm, ClaimNames, Directory, FetchSettings, IdentityContract, IdentityState, KeySource, PresentedRequest,
    RotationRules, SenderBinding, SigningKey, TokenSettings, TokenShape,
};
use vendorgate::internals::kill::{KillSwitch, RouteTag, VendorGate};
use vendorgate::internals::meter::{Calendar, Limits, RequestRate, RouteLimits, UsageLedger};
use vendorgate::internals::model::{ClientId, Clock, Direction, Moment, ScopeSet, Secret, SubjectKey, VendorId};
use vendorgate::internals::policy::{ContractTerms, PolicyChain, RequestFacts, RouteTerms};
use vendorgate::internals::route::{RoutePattern, RouteTable};
use vendorgate::internals::store::Store;

const ROUTE: &str = "GET /v1/customers/{id}";

/// Everything that one admission reads.
struct Gate {
    directory: Directory,
    table: RouteTable,
    line: Arc<VendorGate>,
    tag: RouteTag,
    chain: PolicyChain,
    terms: RouteTerms,
    own_client: ClientId,
    head: Parts,
    now: Moment,
}

impl Gate {
    fn new() -> Self {
        let clock = Clock::system();
        let now = clock.now();
        let vendor = VendorId::parse("acme-analytics").expect("an id");
        let key = SigningKey::generate(Algorithm::ES256, "k").expect("a key");
        let token = key.sign(&claims(now)).expect("a token");
        let head = Request::get("/v1/customers/cus_000014?fields=id")
            .header("host", "api.example.com")
            .header("authorization", format!("Bearer {token}"))
            .header("accept", "application/json")
            .header("user-agent", "acme-batch/3.1");
        let switch = KillSwitch::start(Store::in_memory(), clock.clone(), Arc::new(|_| ()));
        let switch = switch.expect("an empty store");
        Self {
            directory: directory(&clock, vendor.clone(), &key),
            table: RouteTable::new([&RoutePattern::parse(ROUTE).expect("a pattern")]).expect("one route"),
            line: switch.gate(&vendor),
            tag: RouteTag::of(ROUTE),
            chain: chain(),
            terms: RouteTerms {
                ledger_index: 0,
                scopes: ScopeSet::parse("customers:read").expect("a scope"),
                counts_records: true,
            },
            own_client: ClientId::new("vendorgate"),
            head: head.body(()).expect("a request").into_parts().0,
            now,
        }
    }

    fn admit(&self) -> bool {
        let target = screen(&self.head, Direction::Ingress).expect("clean");
        let presented = PresentedRequest {
            headers: &self.head.headers,
            method: &self.head.method,
            scheme: "https",
            authority: "api.example.com",
            path: &target.path,
            query: target.query,
            peer_certificate: None,
        };
        let verified = self.directory.authenticate(&presented, self.now).expect("a known token");
        self.table.find(&Method::GET, &target.path).expect("a route");
        let caller = verified.caller();
        let in_flight = self.line.register(Direction::Ingress, self.tag, Some(&caller.client));
        let facts = RequestFacts {
            now: self.now,
            in_flight: &in_flight,
            caller: Some(caller),
            own_client: &self.own_client,
            route: &self.terms,
            is_safe: true,
        };
        self.chain.evaluate(&facts).is_ok()
    }
}

fn claims(now: Moment) -> String {
    let iat = now.wall.as_secs();
    let exp = iat + 3_000;
    format!(
        r#"{{"iss":"https://id.example.com","aud":"https://api.example.com","sub":"acme","client_id":"acme-batch","scope":"customers:read orders:read","iat":{iat},"exp":{exp},"jti":"j-1"}}"#
    )
}

fn directory(clock: &Clock, vendor: VendorId, key: &SigningKey) -> Directory {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, format!(r#"{{"keys":[{}]}}"#, key.public_jwk())).expect("written");
    let hour = Some(Duration::from_secs(3600));
    let settings = TokenSettings {
        profile: None,
        issuer: "https://id.example.com".into(),
        audience: Some("https://api.example.com".into()),
        clients: vec![ClientId::new("acme-batch")],
        keys: KeySource::File(path),
        algorithms: vec![Algorithm::ES256],
        sender: SenderBinding::None,
        claims: ClaimNames::default(),
        shape: TokenShape { accept_plain_jwt: true, ..TokenShape::default() },
        clock_skew: Duration::from_secs(30),
        rotation: RotationRules {
            max_lifetime: hour,
            max_age: hour,
            superseded_grace: hour,
            ..RotationRules::default()
        },
        fetch: FetchSettings::default(),
    };
    let authority = IdentityState::in_memory(clock.clone()).expect("randomness");
    authority.directory(vec![IdentityContract { index: 0, vendor, identity: settings.into() }]).expect("one vendor")
}

fn chain() -> PolicyChain {
    let many = NonZeroU32::new(1_000_000).expect("not zero");
    let limits = Limits {
        requests: Some(RequestRate { count: many, per: Duration::from_millis(1), burst: many }),
        concurrency: Some(many),
        ..Limits::default()
    };
    let routes = [RouteLimits { direction: Direction::Ingress, route: ROUTE.into(), limits: Limits::default() }];
    let key = SubjectKey::new(Secret::new([7; 32]));
    PolicyChain::new(&ContractTerms {
        observe_until: None,
        direction: Direction::Ingress,
        calendar: Calendar {
            is_draft: false,
            starts: None,
            ends: None,
            warn_before: Duration::ZERO,
            after_end: Default::default(),
        },
        callers: None,
        ceiling: ScopeSet::parse("customers:read orders:read").expect("scopes"),
        ledger: Arc::new(UsageLedger::new(&limits, &routes, key)),
    })
}

fn admit(c: &mut Criterion) {
    let gate = Gate::new();
    assert!(gate.admit(), "what is measured is a yes");
    c.bench_function("admit, token known", |b| b.iter(|| black_box(gate.admit())));
}

criterion_group!(benches, admit);
criterion_main!(benches);

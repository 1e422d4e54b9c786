//! Revocations: what they cover, when they end, and that a failing store does not undo them.

use crate::model::ScopeSet;

use super::*;

fn vendor() -> VendorId {
    VendorId::parse("acme").expect("an id")
}

fn secs(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn revocation(what: RevocationTarget, at: u64, until: Option<u64>) -> Revocation {
    Revocation {
        vendor: vendor(),
        target: what,
        ordered_at: secs(at),
        keep_until: until.map(secs),
        reason: "leaked".into(),
    }
}

fn claims(client: &str, id: Option<&str>, issued: u64) -> Claims {
    Claims {
        client: ClientId::new(client),
        issued_at: Some(secs(issued)),
        expires_at: Some(secs(issued + 3600)),
        not_before: None,
        token_id: id.map(Arc::from),
        scopes: ScopeSet::default(),
        key_id: None,
        key_thumbprint: None,
        certificate_thumbprint: None,
        proof_key_thumbprint: None,
    }
}

fn empty(clock: &Clock) -> Revocations {
    Revocations::load(Arc::new(crate::identity::token::history::NullIdentityStore), clock.clone()).expect("empty")
}

fn check(revocations: &Revocations, client: &str, id: Option<&str>, issued: u64) -> bool {
    revocations.slot(&vendor()).load().check_claims(&claims(client, id, issued)).is_err()
}

#[test]
fn each_kind_covers_exactly_its_tokens() {
    let all = empty(&Clock::manual(secs(1)));
    let before = all.slot(&vendor());
    assert!(!check(&all, "a", Some("t1"), 100));
    all.revoke(revocation(RevocationTarget::Token("t1".into()), 500, None)).expect("saved");
    assert!(before.load().check_claims(&claims("a", Some("t1"), 100)).is_err(), "a slot taken before sees it");
    assert!(check(&all, "b", Some("t1"), 900) && !check(&all, "a", Some("t2"), 100) && !check(&all, "a", None, 100));
    all.revoke(revocation(RevocationTarget::Client(ClientId::new("c")), 500, None)).expect("saved");
    assert!(check(&all, "c", None, 500) && check(&all, "c", None, 999_999), "those to come too");
    assert!(!check(&all, "cc", None, 1));
    all.revoke(revocation(RevocationTarget::IssuedBefore(secs(50)), 500, None)).expect("saved");
    assert!(check(&all, "z", None, 49) && !check(&all, "z", None, 50));
    let key = DistrustedKey { name: "k1".into(), thumbprints: vec![[7; 32]] };
    all.revoke(revocation(RevocationTarget::Key(key), 500, None)).expect("saved");
    let signed = |kid: Option<&str>, thumbprint: u8| {
        let (key_id, key_thumbprint) = (kid.map(Arc::from), Some([thumbprint; 32]));
        let claims = Claims { key_id, key_thumbprint, ..claims("z", None, 9_000) };
        all.slot(&vendor()).load().check_claims(&claims).is_err()
    };
    assert!(signed(Some("k1"), 1), "by its name, whatever it is");
    assert!(signed(Some("k2"), 7) && signed(None, 7), "the same key under another name, or none");
    assert!(!signed(Some("k2"), 1) && !signed(None, 1));
    let other = all.slot(&VendorId::parse("other").expect("an id"));
    assert!(other.load().check_claims(&claims("c", Some("t1"), 1)).is_ok(), "another vendor's tokens are its own");
}

#[test]
fn a_revocation_is_dropped_when_no_valid_token_can_fall_under_it() {
    let hour = RotationRules { max_lifetime: Some(Duration::from_secs(3600)), ..RotationRules::default() };
    let skew = Duration::from_secs(30);
    let until = keep_until(&RevocationTarget::Token("t".into()), &hour, skew, secs(1000));
    assert_eq!(until, Some(secs(1000 + 3600 + 60)));
    assert_eq!(keep_until(&RevocationTarget::IssuedBefore(secs(5000)), &hour, skew, secs(1000)), Some(secs(8660)));
    assert_eq!(keep_until(&RevocationTarget::Token("t".into()), &RotationRules::default(), skew, secs(1000)), None);

    for forever in [RevocationTarget::Client(ClientId::new("c")), RevocationTarget::Key(key())] {
        assert_eq!(keep_until(&forever, &hour, skew, secs(1000)), None, "only a person lifts it");
    }

    let clock = Clock::manual(secs(1000));
    let all = empty(&clock);
    all.revoke(revocation(RevocationTarget::Token("t".into()), 1000, Some(4660))).expect("saved");
    all.revoke(revocation(RevocationTarget::Token("forever".into()), 1000, None)).expect("saved");
    let sweep = |settled| all.sweep(secs(settled), clock.now());
    clock.advance(Duration::from_secs(3659));
    assert_eq!(sweep(4659), 0);
    assert_eq!(sweep(9_999_999), 0, "the monotonic clock contradicts");
    assert!(check(&all, "a", Some("t"), 1000));
    clock.advance(Duration::from_secs(1));
    assert_eq!(sweep(4659), 0, "so does the wall clock");
    assert_eq!((sweep(4660), all.list().len()), (1, 1));
    assert!(!check(&all, "a", Some("t"), 1000) && check(&all, "a", Some("forever"), 1000));
}

#[test]
fn lifting_a_revocation_lets_only_its_own_tokens_pass() {
    let all = empty(&Clock::manual(secs(1)));
    let clients = ["c", "d"].map(|client| RevocationTarget::Client(ClientId::new(client)));
    for what in clients.iter().chain([&RevocationTarget::Key(key()), &RevocationTarget::Token("c".into())]) {
        for at in [500, 600] {
            all.revoke(revocation(what.clone(), at, None)).expect("saved");
        }
    }
    assert_eq!(all.list().len(), 4, "the same twice is one");
    assert_eq!(all.lifting(&vendor(), &clients[0])().ok(), Some(true));
    assert!(check(&all, "c", None, 1), "not before it is durable");
    all.lifted(&vendor(), &clients[0]);
    assert!(!check(&all, "c", None, 1) && check(&all, "d", None, 1) && check(&all, "z", Some("c"), 1));
    assert_eq!(all.lifting(&vendor(), &clients[0])().ok(), Some(false), "there is none any more");
    let unnamed = RevocationTarget::Key(DistrustedKey { thumbprints: Vec::new(), ..key() });
    assert_eq!(all.lifting(&vendor(), &unnamed)().ok(), Some(true), "a key is lifted by its name");

    let full = Revocations::load(Arc::new(FullDisk), Clock::manual(secs(1))).expect("readable");
    assert!(full.lifting(&vendor(), &RevocationTarget::Token("old".into()))().is_err());
    assert!(check(&full, "a", Some("old"), 100), "what cannot be kept is not lifted");
}

fn key() -> DistrustedKey {
    DistrustedKey { name: "k1".into(), thumbprints: vec![[7; 32]] }
}

#[derive(Debug)]
struct FullDisk;

impl RevocationStore for FullDisk {
    fn load(&self) -> io::Result<Vec<Revocation>> {
        Ok(vec![revocation(RevocationTarget::Token("old".into()), 1, None)])
    }

    fn save(&self, _: &Revocation) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn lift(&self, _: &Revocation) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn forget(&self, _: &Revocation) {}
}

#[test]
fn a_full_disk_stops_no_revocation() {
    let all = Revocations::load(Arc::new(FullDisk), Clock::manual(secs(1))).expect("readable");
    assert!(check(&all, "a", Some("old"), 100), "what was saved holds from the start");
    assert!(all.revoke(revocation(RevocationTarget::Token("t".into()), 1000, None)).is_err());
    assert!(check(&all, "a", Some("t"), 100));
}

//! Revocations: what they cover, when they end, and that a failing store does not undo them.

use super::*;
use crate::model::ScopeSet;

fn vendor() -> VendorId {
    VendorId::parse("acme").expect("an id")
}

fn secs(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn revocation(what: Revoked, at: u64, until: Option<u64>) -> Revocation {
    Revocation { vendor: vendor(), what, at: secs(at), until: until.map(secs), reason: "leaked".into() }
}

fn claims(client: &str, id: Option<&str>, issued: u64) -> Claims {
    Claims {
        client: ClientId::new(client),
        issued_at: secs(issued),
        expires_at: secs(issued + 3600),
        not_before: None,
        token_id: id.map(Arc::from),
        scopes: ScopeSet::default(),
        key_id: None,
        certificate_thumbprint: None,
        proof_key_thumbprint: None,
    }
}

fn check(revocations: &Revocations, client: &str, id: Option<&str>, issued: u64) -> bool {
    revocations.slot(&vendor()).load().covers(&claims(client, id, issued)).is_err()
}

#[test]
fn each_kind_covers_exactly_its_tokens() {
    let all = Revocations::load(Arc::new(super::super::Forgetful)).expect("empty");
    let before = all.slot(&vendor());
    assert!(!check(&all, "a", Some("t1"), 100));
    all.revoke(revocation(Revoked::Token("t1".into()), 500, None)).expect("saved");
    assert!(before.load().covers(&claims("a", Some("t1"), 100)).is_err(), "a slot taken before sees it");
    assert!(check(&all, "b", Some("t1"), 900) && !check(&all, "a", Some("t2"), 100) && !check(&all, "a", None, 100));
    all.revoke(revocation(Revoked::Client(ClientId::new("c")), 500, None)).expect("saved");
    assert!(check(&all, "c", None, 500) && !check(&all, "c", None, 501) && !check(&all, "cc", None, 1));
    all.revoke(revocation(Revoked::IssuedBefore(secs(50)), 500, None)).expect("saved");
    assert!(check(&all, "z", None, 49) && !check(&all, "z", None, 50));
    let other = all.slot(&VendorId::parse("other").expect("an id"));
    assert!(other.load().covers(&claims("c", Some("t1"), 1)).is_ok(), "another vendor's tokens are its own");
}

#[test]
fn an_entry_leaves_when_no_token_can_fall_under_it() {
    let hour = Rotation { max_lifetime: Some(Duration::from_secs(3600)), ..Rotation::default() };
    let skew = Duration::from_secs(30);
    let until = keep_until(&Revoked::Token("t".into()), &hour, skew, secs(1000));
    assert_eq!(until, Some(secs(1000 + 3600 + 60)));
    assert_eq!(keep_until(&Revoked::IssuedBefore(secs(5000)), &hour, skew, secs(1000)), Some(secs(8660)));
    assert_eq!(keep_until(&Revoked::Token("t".into()), &Rotation::default(), skew, secs(1000)), None);

    let all = Revocations::load(Arc::new(super::super::Forgetful)).expect("empty");
    all.revoke(revocation(Revoked::Token("t".into()), 1000, Some(4660))).expect("saved");
    all.revoke(revocation(Revoked::Token("forever".into()), 1000, None)).expect("saved");
    assert_eq!(all.sweep(secs(4659)), 0);
    assert!(check(&all, "a", Some("t"), 1000));
    assert_eq!((all.sweep(secs(4660)), all.list().len()), (1, 1));
    assert!(!check(&all, "a", Some("t"), 1000) && check(&all, "a", Some("forever"), 1000));
}

#[derive(Debug)]
struct FullDisk;

impl RevocationStore for FullDisk {
    fn load(&self) -> io::Result<Vec<Revocation>> {
        Ok(vec![revocation(Revoked::Token("old".into()), 1, None)])
    }

    fn save(&self, _: &Revocation) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn forget(&self, _: &Revocation) {}
}

#[test]
fn a_full_disk_stops_no_revocation() {
    let all = Revocations::load(Arc::new(FullDisk)).expect("readable");
    assert!(check(&all, "a", Some("old"), 100), "what was saved holds from the start");
    assert!(all.revoke(revocation(Revoked::Token("t".into()), 1000, None)).is_err());
    assert!(check(&all, "a", Some("t"), 100));
}

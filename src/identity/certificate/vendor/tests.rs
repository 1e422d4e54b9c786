//! Certificates of a real chain: the right authority, the right name, a revoked one, a stale list.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

use super::*;

const NAME: &str = "spiffe://acme/batch";
const NOW: u64 = 1_800_000_000;
/// The second of February 2027.
const FEBRUARY: u64 = 1_801_526_400;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

fn issue(ca: &Ca, serial: u64) -> PeerCertificate {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(NAME.try_into().expect("ascii"))];
    params.serial_number = Some(SerialNumber::from(serial));
    let issued = params.signed_by(&KeyPair::generate().expect("a key"), ca).expect("a certificate");
    PeerCertificate::read(&[issued.der().clone()]).expect("readable")
}

/// A list of the first of January 2027, two weeks before `NOW`, that lasts until the first of February.
fn list(ca: &Ca, revoked: &[u64]) -> String {
    let entry = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2027, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2027, 1, 1),
        next_update: date_time_ymd(2027, 2, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(ca).expect("a list").pem().expect("text")
}

struct World {
    folder: tempfile::TempDir,
    ca: Ca,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().expect("a folder"), ca: ca() };
        std::fs::write(world.folder.path().join("ca.pem"), world.ca.pem()).expect("written");
        world
    }

    fn vendor(&self, with_list: bool) -> CertificateVendor {
        let settings = CertificateSettings {
            subject_alt_name: SubjectAltName::parse(NAME),
            ca_file: Some(self.folder.path().join("ca.pem")),
            crl_files: if with_list { vec![self.folder.path().join("crl.pem")] } else { Vec::new() },
        };
        CertificateVendor::open(VendorId::parse("acme").expect("an id"), 4, 9, settings, RevocationSlot::default())
    }

    fn publish(&self, list: &str) {
        std::fs::write(self.folder.path().join("crl.pem"), list).expect("written");
    }
}

fn check(vendor: &CertificateVendor, certificate: &PeerCertificate, secs: u64) -> Result<(), AuthError> {
    let now = Moment { wall: UnixTime::from_secs(secs), monotonic_ns: 0 };
    vendor.verify(certificate, now).map(|verified| {
        assert_eq!((verified.vendor_index(), verified.caller().client.as_str()), (4, NAME));
        assert!(vendor.is_current(&verified, certificate, now.wall));
        assert!(!vendor.is_current(&verified, certificate, now.wall.plus(CERTIFICATE_RECHECK)), "looked at again");
    })
}

#[test]
fn only_the_contracts_authority_may_name_the_vendor() {
    let world = World::new();
    let vendor = world.vendor(false);
    assert_eq!(check(&vendor, &issue(&world.ca, 1), NOW), Ok(()));
    assert_eq!(check(&vendor, &issue(&ca(), 1), NOW), Err(AuthError::VendorUnknown), "another authority, same name");
    assert_eq!(check(&vendor, &issue(&world.ca, 1), 99_999_999_999), Err(AuthError::CertificateExpired));
}

#[test]
fn a_revoked_certificate_and_a_stale_list_are_refused() {
    let world = World::new();
    let (good, bad) = (issue(&world.ca, 1), issue(&world.ca, 2));
    let vendor = world.vendor(true);
    assert_eq!(check(&vendor, &good, NOW), Err(AuthError::CertificateRevoked), "no list, no yes");
    world.publish(&list(&world.ca, &[]));
    vendor.authorities.as_ref().expect("watched").reload_if_changed();
    assert_eq!((check(&vendor, &good, NOW), check(&vendor, &bad, NOW)), (Ok(()), Ok(())));
    let before = vendor.verify(&bad, Moment { wall: UnixTime::from_secs(NOW), monotonic_ns: 0 }).expect("good");
    world.publish(&list(&world.ca, &[2]));
    vendor.authorities.as_ref().expect("watched").reload_if_changed();
    assert_eq!((check(&vendor, &good, NOW), check(&vendor, &bad, NOW)), (Ok(()), Err(AuthError::CertificateRevoked)));
    assert!(!vendor.is_current(&before, &bad, UnixTime::from_secs(NOW)), "a remembered yes ends with the new list");
    assert_eq!(
        check(&vendor, &good, FEBRUARY),
        Err(AuthError::CertificateRevoked),
        "a list past its next update is none"
    );
    world.publish(&list(&ca(), &[]));
    vendor.authorities.as_ref().expect("watched").reload_if_changed();
    assert_eq!(check(&vendor, &good, NOW), Err(AuthError::CertificateRevoked), "another authority's list says nothing");
}

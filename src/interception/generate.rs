//! Makes an authority for certain hosts, and writes its files.
//!
//! P-256, no authority below it, and critical name constraints: these hosts, and no IP address. Whoever steals its key
//! can impersonate our vendors towards our services, and nobody else.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, GeneralSubtree, IsCa, KeyPair,
    KeyUsagePurpose, NameConstraints,
};
use zeroize::Zeroizing;

use super::error::InterceptionError;
use super::leaf::{canonical_host, set_validity};
use crate::bounds::{AUTHORITY_HOSTS_MAX, LEAF_BACKDATE};
use crate::model::UnixTime;

/// What an authority is to be made for.
#[derive(Debug, Clone)]
pub struct AuthorityOrder {
    /// The hosts that it may sign for.
    pub hosts: Vec<String>,
    /// How many days it is valid.
    pub days: u32,
}

/// An authority as its two files hold it.
#[derive(Debug)]
pub struct AuthorityFiles {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PEM.
    pub key: AuthorityKey,
    /// The hosts, each once, as the certificate names them.
    pub hosts: Vec<String>,
}

/// The private key of an authority, PEM: erased when it is dropped, and never printed.
pub struct AuthorityKey(Zeroizing<String>);

impl AuthorityKey {
    /// The key as its file holds it.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::ops::Deref for AuthorityKey {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for AuthorityKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl AuthorityFiles {
    /// Makes a new authority.
    ///
    /// # Errors
    /// [`InterceptionError`] when a host is no DNS name, or none is named.
    pub fn generate(order: &AuthorityOrder, now: UnixTime) -> Result<Self, InterceptionError> {
        let mut hosts: Vec<String> = order.hosts.iter().map(|host| canonical_host(host)).collect::<Result<_, _>>()?;
        hosts.sort();
        hosts.dedup();
        if hosts.is_empty() || hosts.len() > AUTHORITY_HOSTS_MAX {
            return Err(InterceptionError::HostCount { count: hosts.len(), most: AUTHORITY_HOSTS_MAX });
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&key);
        let ends = now.plus(Duration::from_secs(u64::from(order.days) * 86_400));
        set_validity(&mut params, now.minus(LEAF_BACKDATE), ends);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let everything = [CidrSubnet::from_v4_prefix([0; 4], 0), CidrSubnet::from_v6_prefix([0; 16], 0)];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: hosts.iter().cloned().map(GeneralSubtree::DnsName).collect(),
            excluded_subtrees: everything.into_iter().map(GeneralSubtree::IpAddress).collect(),
        });
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, key: AuthorityKey(Zeroizing::new(key.serialize_pem())), hosts })
    }

    /// Writes `egress.pem` and `egress.key` into a folder, which is made where there is none. The key is readable by
    /// its owner alone. Files that are there are replaced only with `force`.
    ///
    /// # Errors
    /// [`InterceptionError::Exists`], [`InterceptionError::Write`].
    pub fn write(&self, folder: &Path, force: bool) -> Result<[PathBuf; 2], InterceptionError> {
        let (certificate, key) = (folder.join("egress.pem"), folder.join("egress.key"));
        fs::create_dir_all(folder).map_err(failed(folder))?;
        if let Some(there) = [&key, &certificate].into_iter().find(|path| !force && path.exists()) {
            return Err(InterceptionError::Exists { path: there.clone() });
        }
        // The key first: a certificate without its key is used by nobody.
        write_file(&key, self.key.as_bytes(), 0o600).map_err(failed(&key))?;
        write_file(&certificate, self.certificate.as_bytes(), 0o644).map_err(failed(&certificate))?;
        Ok([certificate, key])
    }
}

/// Writes a file that everyone may read, as a bundle of authorities is.
///
/// # Errors
/// [`InterceptionError::Write`].
pub fn write_public_file(path: &Path, content: &[u8]) -> Result<(), InterceptionError> {
    write_file(path, content, 0o644).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> InterceptionError {
    let path = path.to_owned();
    move |source| InterceptionError::Write { path, source }
}

/// A name that no other authority has, so that a client that trusts an old and a new one never takes one for the other.
fn name(key: &KeyPair) -> DistinguishedName {
    let digest = blake3::hash(key.public_key_raw()).to_hex();
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "vendorgate");
    name.push(DnType::CommonName, format!("vendorgate interception {}", &digest[..12]));
    name
}

/// Writes a file beside its place and renames it, so that a reader finds the old content or the new.
fn write_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // What a broken run has left there may be open to others.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(&beside)?;
    let written = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    fn order(hosts: &[&str]) -> AuthorityOrder {
        AuthorityOrder { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), days: 30 }
    }

    #[test]
    fn hosts_that_are_no_dns_names_are_refused() {
        for bad in
            ["", "192.0.2.1", "::1", "[::1]", "*.acme.example", "acme.example:443", "a b", "https://acme.example"]
        {
            assert!(AuthorityFiles::generate(&order(&[bad]), NOW).is_err(), "{bad}");
        }
        assert!(matches!(
            AuthorityFiles::generate(&order(&[]), NOW),
            Err(InterceptionError::HostCount { count: 0, .. })
        ));
    }

    #[test]
    fn the_certificate_says_critically_what_it_may_sign() {
        let files = AuthorityFiles::generate(&order(&["api.acme.example"]), NOW).expect("made");
        let chain = crate::http::pem::certificate_chain(files.certificate.as_bytes()).expect("a certificate");
        let (_, read) = x509_parser::parse_x509_certificate(&chain[0]).expect("readable");
        let limits = read.name_constraints().expect("readable").expect("there");
        assert!(limits.critical);
        let permitted: Vec<String> =
            limits.value.permitted_subtrees.iter().flatten().map(|tree| tree.base.to_string()).collect();
        assert_eq!(permitted, ["DNSName(api.acme.example)"]);
        assert_eq!(limits.value.excluded_subtrees.as_ref().map(Vec::len), Some(2), "no IP address, v4 or v6");
        let basic = read.basic_constraints().expect("readable").expect("there");
        assert!(basic.critical && basic.value.ca);
        assert_eq!(basic.value.path_len_constraint, Some(0));
        assert!(!format!("{files:?}").contains(&files.key[40..60]), "a key is never printed");
    }

    #[test]
    fn files_are_private_and_replaced_only_on_demand() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("ca");
        let [first, second] = [(); 2].map(|()| AuthorityFiles::generate(&order(&["a.example"]), NOW).expect("made"));
        let [certificate, key] = first.write(&place, false).expect("written");
        assert_eq!(fs::metadata(&key).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(matches!(second.write(&place, false), Err(InterceptionError::Exists { .. })));
        assert_eq!(fs::read_to_string(&certificate).expect("there"), first.certificate);
        second.write(&place, true).expect("written");
        assert_eq!(fs::read_to_string(&certificate).expect("there"), second.certificate);
        assert_eq!(fs::metadata(&key).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&place).expect("there").count(), 2, "nothing is left beside them");
    }
}

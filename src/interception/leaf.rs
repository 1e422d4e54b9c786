//! The certificate of one host: made for its name alone, and served to nobody who asks for another.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{DnsName, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::authority::InterceptionAuthority;
use super::error::InterceptionError;
use crate::bounds::{LEAF_BACKDATE, LEAF_LIFETIME, LEAF_RENEWAL};
use crate::model::UnixTime;

/// The longest common name (RFC 5280 appendix A.1); a longer host is in the alternative name alone.
const COMMON_NAME_BYTES_MAX: usize = 64;

/// What is served to clients of one host.
#[derive(Debug)]
pub(super) struct HostLeaf {
    pub(super) config: Arc<ServerConfig>,
    renew_at: UnixTime,
}

impl HostLeaf {
    /// Makes a key and a certificate for a host.
    pub(super) fn mint(
        authority: &InterceptionAuthority,
        host: &str,
        provider: &Arc<CryptoProvider>,
        http2: bool,
        now: UnixTime,
    ) -> Result<Self, InterceptionError> {
        let host = canonical_host(host)?;
        if !authority.permits(&host) {
            return Err(InterceptionError::HostOutside(host));
        }
        if !authority.is_in_force(now) {
            return Err(InterceptionError::NotInForce);
        }
        let ends = now.plus(LEAF_LIFETIME).min(authority.not_after());
        let key = KeyPair::generate()?;
        let params = params(&host, now.minus(LEAF_BACKDATE).max(authority.not_before()), ends)?;
        let certificate = params.signed_by(&key, authority.issuer())?;
        let mut chain = vec![certificate.der().clone()];
        chain.extend(authority.above().iter().cloned());
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let identity = Arc::new(CertifiedKey::new(chain, provider.key_provider.load_private_key(private)?));
        // An authority that ends soon would else have its certificates made anew for each connection.
        let renew_at = ends.minus(LEAF_RENEWAL).max(now.plus(Duration::from_secs(60)).min(ends));
        Ok(Self { config: Arc::new(server_config(OneHost { host, identity }, provider, http2)?), renew_at })
    }

    /// Whether it need not be made anew yet.
    pub(super) fn is_fresh(&self, now: UnixTime) -> bool {
        now < self.renew_at
    }
}

/// A host as certificates name it: in lower case, without a dot at its end.
pub(super) fn canonical_host(host: &str) -> Result<String, InterceptionError> {
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    match DnsName::try_from(name.as_str()) {
        Ok(_) if !is_address => Ok(name),
        Ok(_) | Err(_) => Err(InterceptionError::NotHost(host.to_owned())),
    }
}

/// Sets the days of a certificate.
pub(super) fn set_validity(params: &mut CertificateParams, begins: UnixTime, ends: UnixTime) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + begins.since(UnixTime::default());
    params.not_after = epoch + ends.since(UnixTime::default());
}

fn params(host: &str, begins: UnixTime, ends: UnixTime) -> Result<CertificateParams, InterceptionError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if host.len() <= COMMON_NAME_BYTES_MAX {
        params.distinguished_name.push(DnType::CommonName, host);
    } else {
        params.distinguished_name.push(DnType::OrganizationName, "vendorgate");
    }
    params.subject_alt_names = vec![SanType::DnsName(host.try_into()?)];
    set_validity(&mut params, begins, ends);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Python 3.13 and other strict verifiers demand it (RFC 5280 section 4.2.1.1).
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn server_config(only: OneHost, provider: &Arc<CryptoProvider>, http2: bool) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(only));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if http2 {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    // A store of sessions for each host would take memory, and a resumed session would outlive its certificate.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Serves the certificate to a client that asks for its host, and ends every other handshake.
#[derive(Debug)]
struct OneHost {
    host: String,
    identity: Arc<CertifiedKey>,
}

impl ResolvesServerCert for OneHost {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name()?;
        asked.eq_ignore_ascii_case(&self.host).then(|| Arc::clone(&self.identity))
    }
}

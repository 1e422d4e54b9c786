//! A certificate authority, the gateway's certificate and a vendor's, made anew for each test.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sha2::{Digest as _, Sha256};
use vendorgate::internals::model::Clock;

use super::client::{Client, tcp};

/// The keys and certificates of one test.
pub(crate) struct Certificates {
    authority: CertificateDer<'static>,
    issuer: Arc<Issuer<'static, KeyPair>>,
    client: (CertificateDer<'static>, Vec<u8>),
}

/// The name that every gateway's certificate is for.
pub(crate) fn gateway_name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

/// A client over TLS, once the handshake is done.
pub(crate) fn tls(address: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<Client> {
    let mut stream: TcpStream = tcp(address);
    let mut session = ClientConnection::new(Arc::clone(config), gateway_name()).expect("a session");
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    Ok(Client::over(StreamOwned::new(session, stream)))
}

impl Certificates {
    /// Writes `gateway.pem`, `gateway.key` and `ca.pem` into a folder.
    pub(crate) fn write(folder: &Path) -> Self {
        Self::write_for(folder, "localhost")
    }

    /// As [`Self::write`], for a server of another name.
    pub(crate) fn write_for(folder: &Path, name: &str) -> Self {
        let (authority, issuer) = authority();
        let (gateway, gateway_key) = leaf(&issuer, name, ExtendedKeyUsagePurpose::ServerAuth);
        let (client, client_key) = leaf(&issuer, "acme.example", ExtendedKeyUsagePurpose::ClientAuth);
        fs::write(folder.join("gateway.pem"), gateway.pem()).expect("written");
        private(&folder.join("gateway.key"), &gateway_key.serialize_pem());
        fs::write(folder.join("ca.pem"), authority.pem()).expect("written");
        Self {
            authority: authority.der().clone(),
            issuer: Arc::new(issuer),
            client: (client.der().clone(), client_key.serialize_der()),
        }
    }

    /// Writes the client's certificate and key, `client.pem` and `client.key`, into a folder.
    pub(crate) fn write_client(&self, folder: &Path) {
        let pem = |label: &str, der: &[u8]| {
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
        };
        fs::write(folder.join("client.pem"), pem("CERTIFICATE", &self.client.0)).expect("written");
        private(&folder.join("client.key"), &pem("PRIVATE KEY", &self.client.1));
    }

    /// A client that trusts the authority, in these versions, with these protocols.
    pub(crate) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
        shows_certificate: bool,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
        let builder = builder.expect("versions").with_root_certificates(roots);
        let mut config = if shows_certificate {
            let key = PrivateKeyDer::try_from(self.client.1.clone()).expect("a key");
            builder.with_client_auth_cert(vec![self.client.0.clone()], key).expect("a certificate")
        } else {
            builder.with_no_client_auth()
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Certificates {
    /// A client of the gateway of `there` that presents a certificate of this authority.
    pub(crate) fn showing_to(&self, there: &Self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let mixed =
            Self { authority: there.authority.clone(), issuer: Arc::clone(&self.issuer), client: self.client.clone() };
        mixed.client(&[version], &["http/1.1"], true)
    }

    /// The same authority with another client: one of this URI, or DNS name, and serial number.
    pub(crate) fn for_client(&self, name: &str, serial: u64) -> Self {
        self.signed(name, serial, CertificateParams::new(Vec::new()).expect("parameters"))
    }

    /// As [`Self::for_client`], with a certificate that ends in ten days.
    pub(crate) fn for_ten_days(&self, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        let now = Clock::system().now().wall.as_secs();
        params.not_after = (std::time::UNIX_EPOCH + std::time::Duration::from_secs(now + 864_000)).into();
        self.signed(name, 1, params)
    }

    fn signed(&self, name: &str, serial: u64, mut params: CertificateParams) -> Self {
        let text = || name.try_into().expect("ascii");
        params.subject_alt_names =
            vec![if name.contains("://") { SanType::URI(text()) } else { SanType::DnsName(text()) }];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Self {
            authority: self.authority.clone(),
            issuer: Arc::clone(&self.issuer),
            client: (certificate.der().clone(), key.serialize_der()),
        }
    }

    /// A list of what the authority has revoked, as PEM.
    pub(crate) fn revoking(&self, serials: &[u64]) -> String {
        let entry = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("a list").pem().expect("text")
    }

    /// The thumbprint of the client's certificate, as a token names it (RFC 8705).
    pub(crate) fn thumbprint(&self) -> String {
        let hash = Sha256::digest(&self.client.0);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash)
    }
}

fn authority() -> (rcgen::Certificate, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("signed");
    (certificate, Issuer::new(params, key))
}

fn leaf(
    issuer: &Issuer<'static, KeyPair>,
    name: &str,
    purpose: ExtendedKeyUsagePurpose,
) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, issuer).expect("signed"), key)
}

fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("mode");
}

//! The demo's files: config, contracts, keys and state, in a folder that only this user can enter.
//!
//! The folder is removed when the demo ends, so nothing of a demo can be used afterwards.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::issuer::AUDIENCE;
use super::{DemoError, random_hex};
use crate::admin::mint;
use crate::interception::{AuthorityFiles, AuthorityOrder};
use crate::model::{Clock, Secret};
use crate::pii::keys::generate_key_file;

const DAY: Duration = Duration::from_secs(24 * 3600);

const FILES: [(&str, &str); 4] = [
    ("vendorgate.yaml", include_str!("files/vendorgate.yaml")),
    ("operators.yaml", include_str!("files/operators.yaml")),
    ("contracts/acme-analytics.yaml", include_str!("files/acme-analytics.yaml")),
    ("contracts/swift-parcel.yaml", include_str!("files/swift-parcel.yaml")),
];

/// The host by which our services call the vendor.
pub(super) const VENDOR_HOST: &str = "api.acme.example";
/// The certificate of the authority of interception, within the folder.
pub(super) const AUTHORITY: &str = "ca/egress.pem";

/// A private folder, removed when dropped.
#[derive(Debug)]
pub(super) struct DemoFolder(PathBuf);

/// The tokens of the two operators.
#[derive(Debug)]
pub(super) struct OperatorTokens {
    /// The token of the operator who may kill.
    pub(super) operator: Secret<String>,
    /// The token of the admin, who may also restore.
    pub(super) admin: Secret<String>,
}

impl DemoFolder {
    /// Makes the folder, for this user only.
    pub(super) fn create() -> Result<Self, DemoError> {
        let path = std::env::temp_dir().join(format!("vendorgate-demo-{}", random_hex()?));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(not_made(&path))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes the credential by which the vendor knows us, and returns it.
    pub(super) fn write_credential(&self) -> Result<Secret<String>, DemoError> {
        let (credential, path) = (Secret::new(format!("acme-live-{}", random_hex()?)), self.0.join("vendor.token"));
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(credential.expose().as_bytes())).map_err(not_made(&path))?;
        Ok(credential)
    }

    /// The main file of the config.
    pub(super) fn main(&self) -> PathBuf {
        self.0.join("vendorgate.yaml")
    }

    /// Writes every file that the gateway needs. `services` are the words of the templates that stand for the addresses
    /// of the sample services.
    pub(super) fn write_files(&self, services: [(&str, &str); 3], clock: &Clock) -> Result<OperatorTokens, DemoError> {
        let token = || mint().map_err(|_| DemoError::new("the machine gives no random bytes"));
        let ((operator, operator_hash), (admin, admin_hash)) = (token()?, token()?);
        let today = clock.now().wall;
        let (starts, ends) = (today.minus(90 * DAY).to_string(), today.plus(365 * DAY).to_string());
        let words = [
            ("STARTS", &starts[..10]),
            ("ENDS", &ends[..10]),
            ("AUDIENCE", AUDIENCE),
            ("OPERATOR", &operator_hash),
            ("ADMIN", &admin_hash),
        ];
        let contracts = self.0.join("contracts");
        fs::create_dir(&contracts).map_err(not_made(&contracts))?;
        for (name, template) in FILES {
            let (path, words) = (self.0.join(name), words.iter().chain(&services));
            let text = words.fold(template.to_owned(), |text, (word, value)| text.replace(word, value));
            fs::write(&path, text).map_err(not_made(&path))?;
        }
        generate_key_file(&self.0.join("master.key")).map_err(DemoError::because("the master key cannot be made"))?;
        let order = AuthorityOrder { hosts: vec![VENDOR_HOST.to_owned()], days: 1 };
        AuthorityFiles::generate(&order, today)
            .and_then(|files| files.write(&self.0.join("ca"), false))
            .map_err(DemoError::because("the authority of interception cannot be made"))?;
        Ok(OperatorTokens { operator, admin })
    }
}

fn not_made(path: &Path) -> impl FnOnce(io::Error) -> DemoError {
    DemoError::because(format!("{} cannot be made", path.display()))
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} could not be removed: {error}", self.0.display());
        }
    }
}

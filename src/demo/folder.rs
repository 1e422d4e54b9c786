//! The demo's files: config, contracts, keys and state, in a folder that only this user can enter.
//!
//! The folder is removed when the demo ends, so nothing of a demo can be used afterwards.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::DemoError;
use super::issuer::AUDIENCE;
use crate::admin::mint;
use crate::model::{Clock, Secret};
use crate::pii::keys::generate_key_file;

const DAY: Duration = Duration::from_secs(24 * 3600);

const FILES: [(&str, &str); 4] = [
    ("vendorgate.yaml", include_str!("files/vendorgate.yaml")),
    ("operators.yaml", include_str!("files/operators.yaml")),
    ("contracts/acme-analytics.yaml", include_str!("files/acme-analytics.yaml")),
    ("contracts/swift-parcel.yaml", include_str!("files/swift-parcel.yaml")),
];

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
        let mut random = [0_u8; 8];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| DemoError::Random)?;
        let path = std::env::temp_dir().join(format!("vendorgate-demo-{:016x}", u64::from_le_bytes(random)));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|source| DemoError::File { path: path.clone(), source })?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The main file of the config.
    pub(super) fn main(&self) -> PathBuf {
        self.0.join("vendorgate.yaml")
    }

    /// Writes every file that the gateway needs. `services` are the words of the templates that stand for the addresses
    /// of the sample services.
    pub(super) fn write_files(&self, services: [(&str, &str); 3], clock: &Clock) -> Result<OperatorTokens, DemoError> {
        let (operator, operator_hash) = mint().map_err(|_| DemoError::Random)?;
        let (admin, admin_hash) = mint().map_err(|_| DemoError::Random)?;
        let today = clock.now().wall;
        let (starts, ends) = (today.minus(90 * DAY).to_string(), today.plus(365 * DAY).to_string());
        let words = [
            ("STARTS", &starts[..10]),
            ("ENDS", &ends[..10]),
            ("AUDIENCE", AUDIENCE),
            ("OPERATOR", &operator_hash),
            ("ADMIN", &admin_hash),
        ];
        fs::create_dir(self.0.join("contracts")).map_err(self.failed("contracts"))?;
        for (name, template) in FILES {
            let text = words
                .iter()
                .chain(&services)
                .fold(template.to_owned(), |text, (word, value)| text.replace(word, value));
            fs::write(self.0.join(name), text).map_err(self.failed(name))?;
        }
        generate_key_file(&self.0.join("master.key")).map_err(DemoError::Key)?;
        Ok(OperatorTokens { operator, admin })
    }

    fn failed(&self, name: &str) -> impl FnOnce(io::Error) -> DemoError {
        let path = self.0.join(name);
        move |source| DemoError::File { path, source }
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} could not be removed: {error}", self.0.display());
        }
    }
}

//! The files of a vendor that are read again while the gateway runs, and what is wrong with them.

use crate::identity::directory::Directory;
use crate::identity::settings::KeySource;
use crate::model::VendorId;

use super::watched::FileKind;

/// A vendor's file, and why its content cannot be used, if it cannot. What was read before stays in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStatus {
    /// What the file is for.
    pub file: FileKind,
    /// Why it cannot be used. Names the path, and holds nothing of the content.
    pub error: Option<String>,
}

impl Directory {
    /// The watched files of a vendor.
    pub fn files(&self, vendor: &VendorId) -> Vec<FileStatus> {
        let certified = self.certified.get(vendor).and_then(|known| known.authorities.as_ref());
        let signed = self.webhooks().iter().find(|webhook| webhook.vendor() == vendor);
        let mut files: Vec<_> = [
            certified.map(|files| FileStatus { file: FileKind::Authorities, error: files.last_error() }),
            signed.map(|webhook| FileStatus { file: FileKind::WebhookSecrets, error: webhook.last_error() }),
            signed
                .and_then(|webhook| webhook.verify_error())
                .map(|error| FileStatus { file: FileKind::VerifyToken, error }),
        ]
        .into_iter()
        .flatten()
        .collect();
        let by_token = self.index_of(vendor).and_then(|index| self.vendor(index));
        files.extend(by_token.and_then(|vendor| match &vendor.settings.keys {
            KeySource::File(_) => {
                Some(FileStatus { file: FileKind::Keys, error: vendor.issuer_keys.status().last_error })
            }
            KeySource::Introspection(_) => {
                let secret = self.introspector_of(&vendor.issuer_keys.id)?.secret.as_ref()?;
                Some(FileStatus { file: FileKind::IntrospectionSecret, error: secret.last_error() })
            }
            KeySource::Url { .. } | KeySource::Discovery { .. } => None,
        }));
        files
    }
}

//! How the names of upstreams are resolved: by the system; in tests, by a double that answers differently each time.

use std::io;
use std::net::SocketAddr;

/// Resolves names.
#[derive(Debug, Default)]
pub(super) enum NameResolver {
    /// The system's own resolver.
    #[default]
    System,
    /// Answers in turn with these addresses, and with none after the last.
    #[cfg(test)]
    Double(std::sync::Mutex<Vec<Vec<SocketAddr>>>),
}

impl NameResolver {
    /// All addresses of a name at this time.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
            #[cfg(test)]
            Self::Double(answers) => {
                let mut answers = crate::model::Lock::locked(answers);
                Ok(if answers.is_empty() { Vec::new() } else { answers.remove(0) })
            }
        }
    }
}

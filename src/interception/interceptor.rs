//! The certificates of all intercepted hosts, made when they are first asked for, and the authority's files, which may
//! be replaced while the gateway runs.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use quick_cache::sync::Cache;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use zeroize::Zeroizing;

use super::authority::InterceptionAuthority;
use super::error::InterceptionError;
use super::leaf::HostLeaf;
use super::settings::InterceptionSettings;
use crate::bounds::INTERCEPTION_LEAVES_MAX;
use crate::model::{Lock as _, UnixTime, with_causes};

/// Serves intercepted hosts.
#[derive(Debug)]
pub struct Interceptor {
    files: InterceptionSettings,
    http2: bool,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<SigningAuthority>,
    /// Why the files could not be used when they were last read.
    problem: Mutex<Option<String>>,
}

/// An authority with the certificates that it has signed: both go when the files are replaced.
#[derive(Debug)]
struct SigningAuthority {
    authority: InterceptionAuthority,
    digest: blake3::Hash,
    leaves: Cache<String, Arc<HostLeaf>>,
}

impl SigningAuthority {
    fn read(files: &InterceptionSettings, unless: Option<blake3::Hash>) -> Result<Option<Self>, InterceptionError> {
        let content = |path: &std::path::PathBuf| {
            let read = std::fs::read(path).map(Zeroizing::new);
            read.map_err(|source| InterceptionError::Read { path: path.clone(), source })
        };
        let (certificate, key) = (content(&files.ca)?, content(&files.key)?);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(certificate.len() as u64).to_le_bytes()).update(&certificate).update(&key);
        let digest = hasher.finalize();
        if unless == Some(digest) {
            return Ok(None);
        }
        let authority = InterceptionAuthority::read(&certificate, &key)?;
        Ok(Some(Self { authority, digest, leaves: Cache::new(INTERCEPTION_LEAVES_MAX) }))
    }
}

impl Interceptor {
    /// Reads the authority. `http2` says whether HTTP/2 is offered beside HTTP/1.1.
    ///
    /// # Errors
    /// [`InterceptionError`] when it cannot be used.
    pub fn open(files: &InterceptionSettings, http2: bool) -> Result<Self, InterceptionError> {
        let current = SigningAuthority::read(files, None)?.ok_or(InterceptionError::NotAuthority)?;
        Ok(Self {
            files: files.clone(),
            http2,
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            current: ArcSwap::from_pointee(current),
            problem: Mutex::default(),
        })
    }

    /// The TLS configuration for clients of a host: its handshake fails for a client that names another one, or none.
    /// A certificate is made at most once at a time for each host; making one takes about as long as a handshake.
    ///
    /// # Errors
    /// [`InterceptionError`] when the authority may not sign for the host, or not now.
    pub fn server_config(&self, host: &str, now: UnixTime) -> Result<Arc<ServerConfig>, InterceptionError> {
        let current = self.current.load();
        current.leaves.remove_if(host, |leaf| !leaf.is_fresh(now));
        let mint = || HostLeaf::mint(&current.authority, host, &self.provider, self.http2, now).map(Arc::new);
        current.leaves.get_or_insert_with(host, mint).map(|leaf| Arc::clone(&leaf.config))
    }

    /// Whether it reads these files and offers the same protocols.
    pub fn is_made_of(&self, files: &InterceptionSettings, http2: bool) -> bool {
        (&self.files, self.http2) == (files, http2)
    }

    /// Reads the files again. What was read before stays in force while they cannot be used; both are said in the log,
    /// once a change. Blocks.
    pub fn reload_if_changed(&self) {
        let known = self.current.load().digest;
        let problem = match SigningAuthority::read(&self.files, Some(known)) {
            Ok(replaced) => {
                if let Some(replaced) = replaced {
                    tracing::info!(file = %self.files.ca.display(), "the authority of interception was replaced");
                    self.current.store(Arc::new(replaced));
                }
                None
            }
            Err(error) => Some(with_causes(&error)),
        };
        let mut before = self.problem.locked();
        if let Some(why) = problem.as_deref().filter(|_| *before != problem) {
            tracing::warn!(why, "the authority of interception cannot be used as it is: what is in force stays");
        }
        *before = problem;
    }

    /// Why the files could not be used when they were last read.
    #[cfg(test)]
    pub fn problem(&self) -> Option<String> {
        self.problem.locked().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{AuthorityFiles, AuthorityOrder};
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    fn order(host: &str) -> AuthorityOrder {
        AuthorityOrder { hosts: vec![host.to_owned()], days: 30 }
    }

    fn opened(host: &str) -> (tempfile::TempDir, Interceptor) {
        let folder = tempfile::tempdir().expect("a folder");
        let files = AuthorityFiles::generate(&order(host), NOW).expect("made");
        let [ca, key] = files.write(folder.path(), false).expect("written");
        let interceptor = Interceptor::open(&InterceptionSettings { ca, key }, true).expect("usable");
        (folder, interceptor)
    }

    #[test]
    fn a_certificate_is_kept_until_it_is_due_and_made_once_for_all_who_ask() {
        let (_folder, interceptor) = opened("api.acme.example");
        let made = |now| interceptor.server_config("api.acme.example", now).expect("a certificate");
        let all: Vec<_> = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| made(NOW))).collect();
            asked.into_iter().map(|one| one.join().expect("joined")).collect()
        });
        assert!(all.iter().all(|one| Arc::ptr_eq(one, &all[0])), "one minting flight");
        let hours = |count: u64| NOW.plus(Duration::from_secs(count * 3600));
        assert!(Arc::ptr_eq(&made(hours(17)), &all[0]));
        let renewed = made(hours(19));
        assert!(!Arc::ptr_eq(&renewed, &all[0]) && Arc::ptr_eq(&renewed, &made(hours(20))));
    }

    #[test]
    fn no_certificate_is_made_for_another_host_or_after_the_authority() {
        let (_folder, interceptor) = opened("api.acme.example");
        let why = |host: &str, now| interceptor.server_config(host, now).err().map(|error| error.to_string());
        let outside = why("api.other.example", NOW).expect("refused");
        assert_eq!(outside, "the authority may not sign for api.other.example");
        assert!(why("192.0.2.1", NOW).is_some_and(|why| why.contains("no DNS name")));
        let late = NOW.plus(Duration::from_secs(31 * 86_400));
        assert_eq!(why("api.acme.example", late).as_deref(), Some("the authority is not valid at this time"));
        assert!(why("api.acme.example", NOW.plus(Duration::from_secs(30 * 86_400 - 30))).is_none(), "its last minute");
    }

    #[test]
    fn a_replaced_authority_signs_from_then_on_and_a_broken_one_changes_nothing() {
        let (folder, interceptor) = opened("api.acme.example");
        let made = || interceptor.server_config("api.acme.example", NOW).expect("a certificate");
        let first = made();
        interceptor.reload_if_changed();
        assert!(Arc::ptr_eq(&made(), &first), "nothing was replaced");
        std::fs::write(folder.path().join("egress.pem"), "no certificate").expect("written");
        interceptor.reload_if_changed();
        assert!(Arc::ptr_eq(&made(), &first) && interceptor.problem().is_some());
        AuthorityFiles::generate(&order("api.acme.example"), NOW)
            .expect("made")
            .write(folder.path(), true)
            .expect("ok");
        interceptor.reload_if_changed();
        assert!(!Arc::ptr_eq(&made(), &first) && interceptor.problem().is_none());
    }
}

//! Why the engine did not do what it was asked.

use std::io;
use std::path::PathBuf;

use crate::http::HostPort;
use crate::http::pem::PemError;

/// Why the engine cannot be reached, or has not answered as it should.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// There is no connection now; nothing was sent.
    #[error("there is no connection to the engine")]
    Away,
    /// No answer came in time. Whether the engine has done what it was asked is not known.
    #[error("the engine has not answered in time")]
    Timeout,
    /// A file of the login or of TLS cannot be read.
    #[error("cannot read {path}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        #[source]
        source: io::Error,
    },
    /// A file of TLS does not hold what it should.
    #[error("{path} cannot be used", path = path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: PemError,
    },
    /// The certificate and the key cannot be used together.
    #[error("TLS with the engine cannot be set up")]
    Tls(#[source] rustls::Error),
    /// A server cannot be connected to.
    #[error("cannot connect to {server}")]
    Connect {
        /// The server.
        server: HostPort<'static>,
        /// Why it cannot be connected to.
        #[source]
        source: io::Error,
    },
    /// No sentinel knows the master.
    #[error("no sentinel names a master called {0}")]
    NoMaster(String),
    /// The server is a replica: what is written there is lost.
    #[error("{0} is not a master")]
    NotMaster(HostPort<'static>),
    /// A cluster sends us from server to server.
    #[error("the servers of the cluster do not agree who has our keys")]
    Redirects,
    /// The engine has refused a command, or its answer is none.
    #[error("the engine has refused it: {0}")]
    Refused(String),
    /// The answer is not what the command answers with.
    #[error("the engine's answer cannot be read")]
    Unreadable,
}

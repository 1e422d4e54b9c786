//! Why a host cannot be intercepted, or an authority cannot be made.

use std::io;
use std::path::PathBuf;

use crate::http::pem::PemError;

/// Why a host cannot be intercepted, or an authority cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InterceptionError {
    /// A file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why it cannot be written.
        #[source]
        source: io::Error,
    },
    /// A file of an authority is there already.
    #[error("{path} is there already, and services may trust it", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The certificate, or its key, cannot be used.
    #[error("the authority {0}")]
    Content(#[from] PemError),
    /// The certificate may not sign others.
    #[error("the certificate is no authority: it may not sign certificates")]
    NotAuthority,
    /// A host is no name that a certificate can have.
    #[error("'{0}' is no DNS name")]
    NotHost(String),
    /// No host was named, or more than an authority may have.
    #[error("an authority is for 1 to {most} hosts, and {count} were named")]
    HostCount {
        /// How many were named.
        count: usize,
        /// The most.
        most: usize,
    },
    /// The authority is limited to other hosts.
    #[error("the authority may not sign for {0}")]
    HostOutside(String),
    /// The authority is not yet, or no longer, valid.
    #[error("the authority is not valid at this time")]
    NotInForce,
    /// A certificate cannot be made.
    #[error("a certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// The certificate that was made cannot be served.
    #[error("a certificate cannot be served")]
    Tls(#[from] rustls::Error),
}

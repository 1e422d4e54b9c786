//! Interception: an authority of our own, and short-lived certificates that it signs for the hosts of contracts, so
//! that the gateway can read what a service sends under TLS.
//!
//! - [`AuthorityFiles`] are made by `vendorgate ca generate`: P-256, for hosts that are named in it and no others.
//! - [`InterceptionAuthority`] is read from such files, or from a company's own.
//! - [`Interceptor`] has a TLS configuration for each host; a certificate is made when the host is first asked for.
//! - [`merged_bundle`] and [`java_trust_store`] are what services trust: the machine's authorities and ours.
//!
//! Never decides whether a host may be intercepted, and never copies a name from the certificate of a vendor: a client
//! that saw one certificate for several hosts would send the requests of all on one connection.

mod authority;
mod error;
mod generate;
mod interceptor;
mod leaf;
mod settings;
mod trust;

pub use authority::InterceptionAuthority;
pub use error::InterceptionError;
pub use generate::{AuthorityFiles, AuthorityOrder, write_public_file};
pub use interceptor::Interceptor;
pub use settings::InterceptionSettings;
pub use trust::{java_trust_store, merged_bundle, to_pem};

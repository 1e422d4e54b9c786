//! vendorgate: the gateway between a company and its vendors.
//!
//! One process in the path of every call between a company and its vendors. It knows each vendor by a reviewable
//! contract file, lets through what the contract grants, takes personal data out of what leaves, counts what left, and
//! cuts a vendor off, mid-flight, by one command. On ingress vendors call our APIs; on egress our services call theirs.
//!
//! A *room* is a top-level module. Each has a page that names its files.
//!
//! # The way of one request
//! ```text
//! listener::accept          a slot, TCP, TLS within a deadline, the client certificate
//!   http::slots               how many connections may be open, and which one ends when there are too many
//!   listener::timeouts        how long a connection may rest, and how long a request's head may take
//! listener::serve           HTTP/1.1 or HTTP/2, into the tower stack: load shed, concurrency limit, catch panic
//! gateway::handle           always a response: the upstream's, or a refusal
//!   gateway::admission        synchronous: ends in `Admitted`, which holds the permit
//!     http::hygiene             one strict reading: framing, target, query, header fields
//!     identity                  who calls. A token seen before skips the signature check; its dates, rotation and
//!                               revocation are checked on every request
//!     route                     the vendor's own table of routes; no match is a denial
//!     kill::gate                the request is registered as in flight, before the kill switch is read
//!     policy                    kill, contract days, scope, limits; what uses up a rate or a budget comes last
//!   gateway::forward          async: consumes what was admitted
//!     pii                       treats the request's URL, header fields and, as it streams, its body
//!     upstream                  the vendor's own pool, which sends only with the permit
//!     gateway::body_stream      as the response streams: pii treats it, meter counts it, kill can cut it
//! gateway::exchange         when the request's `ExchangeRecord` is dropped, it writes metrics and one log line, also
//!                           when the peer vanished in mid-body
//! ```
//! Admission never waits. Where it lacks a key or an answer that is being fetched, the request waits once, within a
//! bound, and is decided again. Keys, introspection answers and revocations are gathered in the background into
//! snapshots, and a request reads one [`gateway`] snapshot from start to end.
//!
//! # Floors
//! A room imports from rooms on lower floors only, never from its own floor; `tests/tidy.rs` holds it.
//!
//! | floor | rooms |
//! | --- | --- |
//! | 0 | [`model`] the words as types, the reasons, the treatments; [`bounds`] every bound with its reason |
//! | 1 | [`pii`] treats personal data; [`http`] reads, refuses, forwards, and calls issuers; [`store`] state on disk; [`telemetry`] metrics and logs; [`audit`] the audit trail |
//! | 2 | [`identity`] who calls; [`meter`] rates and budgets; [`kill`] the kill switch; [`exposure`] which data left to whom |
//! | 3 | [`policy`] the rules of admission; [`route`] the table of routes |
//! | 4 | [`upstream`] the connection pools |
//! | 5 | [`config`] from YAML to checked settings |
//! | 6 | [`gateway`] the way of one request |
//! | 7 | [`listener`] sockets of vendors and services; [`admin`] the operators' API |
//! | 8 | [`server`] start, reload, drain, and what operators order |
//! | 9 | [`demo`] the demonstration |
//! | 10 | [`cli`] one file per verb |
//!
//! Four ideas carry the design.
//! - The first half of the work is a synchronous admission that yields a [`policy::Permit`]. Only one function can
//!   construct a permit, and nothing is sent to an upstream without one.
//! - A policy is an entry of one list; the list is tried in order.
//! - Bodies pass through rewriters ([`pii::Rewriter`]) that are handed bytes and do no I/O. How the bytes are cut into
//!   chunks never changes the output.
//! - Tower protects against load. It never decides about a request.
//!
//! # To add something
//! Do the first step; after it the compiler or a failing test names each next one. The page of `docs/` follows in the
//! same commit.
//!
//! - **A policy**: its file in `policy/`, with its `mod` line and its line in `CATALOG` of `policy/mod.rs`. If it reads
//!   something new from a request, add a field in `policy/facts.rs`, filled in `gateway/policy_input.rs`. If it needs a
//!   setting, add a config key.
//! - **A reason to refuse**: its row in `model/reason.rs`: word, status, the texts that the caller reads, and whether
//!   many of them suspend the vendor (`trip:` of a contract). Then return it where the rule is.
//! - **A treatment**: its row in `model/treatment.rs`; its variant in `pii/treatment/mod.rs`, with a file beside it
//!   where it is long; its arm in `config/check/rules.rs`.
//! - **A body format**: a folder in `pii/` with a [`pii::Rewriter`]; its variant, content types and engine in
//!   `pii/body/mod.rs`; its bounds in `bounds/mod.rs`; a target in `fuzz/targets.rs`.
//! - **A detector**: its kind in `pii/detect/mod.rs`. A number joins the kinds of `pii/detect/digits.rs`, and
//!   `pii/detect/prefilter.rs` must keep its texts; another form has a file beside them.
//! - **A metric**: its row in `telemetry/families.rs`, and its sample in `telemetry/metrics.rs`,
//!   `telemetry/vendor_metrics.rs` or `telemetry/route_metrics.rs`.
//! - **An admin call**: its `Endpoint` entry and a method of the trait in the file of its subject in `admin/` (`kills`,
//!   `restores`, `revocations`, `status`, `records`, `reveal`, `reload`); the act in the same file name of
//!   `server/control/`; a canned answer in `admin/fake.rs`, for tests. The type of the answer is in the room that knows
//!   it, such as `KillReport` in `kill/answer.rs`; what only an operator reads is in `admin/`. A new subject also joins
//!   the list in `admin/endpoint.rs` and the trait in `admin/control.rs`. Roles, the OpenAPI description and the audit
//!   follow from the entry.
//! - **A verb**: its file in `cli/`, with its arguments and its help, and its line in `cli/mod.rs`.
//! - **A config key**: its field in a file of `config/file/`, with the comment that becomes the schema; its check in
//!   `config/check/`; its checked value as a field of the settings of the module that uses it.

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the pages are for people who change the code: `.ci/run` builds them all"
)]

mod admin;
mod audit;
mod bounds;
mod cli;
mod config;
mod demo;
mod exposure;
mod gateway;
mod http;
mod identity;
mod kill;
mod listener;
mod meter;
mod model;
pub mod pii;
mod policy;
mod route;
mod server;
mod store;
mod telemetry;
mod upstream;

/// The program: reads the arguments, carries out their verb, and answers with an exit code.
pub use cli::main;

/// The private rooms, for this crate's own benches, tests and fuzz targets. Not an interface: anything here changes
/// without notice. Without the feature the rooms stay private, and the compiler reports what nothing in them calls.
#[cfg(feature = "internals")]
#[doc(hidden)]
#[allow(missing_docs, reason = "each room has its own page")]
pub mod internals {
    pub mod admin {
        pub use crate::admin::*;
    }
    pub mod bounds {
        pub use crate::bounds::*;
    }
    pub mod config {
        pub use crate::config::*;
    }
    pub mod exposure {
        pub use crate::exposure::*;
    }
    pub mod gateway {
        pub use crate::gateway::*;
    }
    pub mod http {
        pub use crate::http::*;
    }
    pub mod identity {
        pub use crate::identity::*;
    }
    pub mod kill {
        pub use crate::kill::*;
    }
    pub mod meter {
        pub use crate::meter::*;
    }
    pub mod model {
        pub use crate::model::*;
    }
    pub mod policy {
        pub use crate::policy::*;
    }
    pub mod route {
        pub use crate::route::*;
    }
    pub mod server {
        pub use crate::server::*;
    }
    pub mod store {
        pub use crate::store::*;
    }
    pub mod telemetry {
        pub use crate::telemetry::*;
    }
    pub mod upstream {
        pub use crate::upstream::*;
    }
}

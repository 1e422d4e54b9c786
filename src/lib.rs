//! vendorgate: the gateway between a company and its vendors.
//!
//! One process in the path of every call between a company and its vendors. It knows each vendor by a reviewable
//! contract file, lets through what the contract grants, takes personal data out of what leaves, counts what left, and
//! cuts a vendor off, mid-flight, by one command. On *ingress* a vendor calls one of our APIs; on *egress* one of our
//! services calls a vendor's API. The API that is called is the *upstream*; the side that calls is the *caller*.
//!
//! A *room* is a top-level module. The comment at the top of its `mod.rs` names its files.
//!
//! # The way of one request
//! A name such as `listener::accept` is the file `listener/accept.rs`, or the folder of that name. What is indented is
//! used by what is above it.
//! ```text
//! listener::accept          the connection gets a slot, then its TLS handshake must end within a deadline
//!   http::slots               how many connections may be open, and which one ends when there are too many
//!   listener::timeouts        how long a connection may be idle, and how long the head of a request may take
//! listener::serve           HTTP/1.1 or HTTP/2, into the tower stack: load shed, concurrency limit, catch panic
//! gateway::handle           always a response: the upstream's, or a refusal
//!   gateway::admission        synchronous: ends in `Admitted`, which holds the `policy::Permit`, the proof
//!     http::hygiene             one strict reading: framing, target, query, header fields
//!     identity                  who calls. The signature of a token is checked once; its dates, whether a newer token
//!                               of the client is in use, and its revocation are checked on every request
//!     route                     the vendor's own table of routes; no match is a denial
//!     kill::gate                the request is registered as in flight before the policies read the kill switch, so
//!                               that no kill can miss it
//!     policy                    kill switch, first and last day of the contract, scopes, limits. The limits come last,
//!                               so that a denied request uses up nothing
//!   gateway::forward          async: consumes what was admitted
//!     pii                       treats the request's URL, header fields and, as it streams, its body
//!     upstream                  the vendor's own pool, which sends only with the permit
//!     gateway::body_stream      as the response streams: pii treats it, meter counts it, kill can cut it
//! gateway::exchange         the `ExchangeRecord` of a request writes metrics and one log line in its `Drop`, so also
//!                           when the peer vanished in mid-body
//! ```
//! Admission itself never waits. Where the key of an issuer, or its answer about a token, is still being fetched,
//! `gateway::handle` waits once, within a bound, and has the request admitted anew. Keys, answers and revocations are
//! fetched in the background. The config in force is one immutable `gateway::snapshot`; each decision reads one.
//!
//! # Floors
//! A room imports from rooms on lower floors only, never from its own floor; `tests/tidy.rs` holds it.
//!
//! | floor | rooms |
//! | --- | --- |
//! | 0 | [`model`] the words as types, the reasons, the treatments; [`bounds`] every bound with its reason |
//! | 1 | [`pii`] treats personal data; [`parameters`] which parameters and fields a route allows; [`http`] the strict reading of requests, refusals, header fields, and the client that calls issuers; [`store`] state on disk; [`telemetry`] metrics and logs; [`audit`] the audit trail |
//! | 2 | [`interception`] an authority for intercepted hosts; [`identity`] who calls; [`meter`] rates and budgets; [`kill`] the kill switch; [`exposure`] which data left to whom; [`observation`] what calls looked like; [`anomaly`] what is unusual at this hour of the week |
//! | 3 | [`policy`] the rules of admission; [`route`] the table of routes; [`credentials`] by what vendors know us; [`fleet`] state that several gateways share |
//! | 4 | [`upstream`] the connection pools |
//! | 5 | [`config`] from YAML to checked settings |
//! | 6 | [`gateway`] the way of one request; [`openapi`] contracts from descriptions of APIs |
//! | 7 | [`listener`] sockets of vendors and services; [`admin`] the operators' API |
//! | 8 | [`server`] start, reload, drain; carries out what the calls of [`admin`] order |
//! | 9 | [`demo`] the demonstration |
//! | 10 | [`cli`] one file per verb |
//!
//! Four ideas carry the design.
//! - The first half of the work is a synchronous admission that yields a [`policy::Permit`]. Only one function can
//!   construct a permit, and nothing is sent to an upstream without one.
//! - A policy is an entry of one list. A request must pass all of them, in order; the first denial ends it.
//! - Bodies pass through rewriters ([`pii::Rewriter`]) that are handed bytes and do no I/O. How the bytes are cut into
//!   chunks never changes the output.
//! - Tower refuses by load alone. Nothing in it looks at who calls or what for.
//!
//! # To add something
//! Begin with the first file; after it the compiler or a failing test names each next one. The docs in `docs/` follow
//! in the same commit.
//!
//! - **A policy**: its file in `policy/`, with its `mod` line and its line in `CATALOG` of `policy/mod.rs`. If it reads
//!   something new from a request, add a field in `policy/facts.rs`, filled in `gateway/policy_input.rs`. If it needs a
//!   setting, add a config key.
//! - **A reason to refuse**: its row in `model/reason.rs`: word, status, the texts that the caller reads, and whether
//!   many such refusals suspend the vendor (`trip:` of a contract). Then return it where the rule is.
//! - **A treatment**: its row in `model/treatment.rs`; its variant in `pii/treatment/mod.rs`, with a file beside it
//!   where it is long; its arm in the `match` of `config/check/rules.rs`.
//! - **A body format**: a folder in `pii/` with a [`pii::Rewriter`]; its variant, content types and engine in
//!   `pii/body/mod.rs`; its bounds in `bounds/mod.rs`; a target in `fuzz/targets.rs`.
//! - **A detector**: its kind in `pii/detect/mod.rs`. What is made of digits joins `pii/detect/digits.rs`; another form
//!   has a file beside it. `pii/detect/prefilter.rs` skips texts quickly and must let the new form through.
//! - **A metric**: its row in `telemetry/families.rs`, and its sample in `telemetry/metrics.rs`,
//!   `telemetry/vendor_metrics.rs` or `telemetry/route_metrics.rs`.
//! - **An admin call**: the file of its subject in `admin/` (`kills`, `restores`, `revocations`, `status`, `records`,
//!   `suggestions`, `vendor_details`, `live`, `login`, `reveal`, `reload`) has its `Endpoint` entry and the method of
//!   that file's trait; the file of the same name in `server/control/` carries it out; `admin/fake.rs` has a canned
//!   answer for tests. The type of the
//!   answer is in the room that makes it, such as `KillReport` in `kill/answer.rs`. A call that fits none of these
//!   files gets a new one, which also joins the list in `admin/endpoint.rs` and the trait in `admin/control.rs`. Roles,
//!   the OpenAPI description and the audit follow from the entry.
//! - **A view of the dashboard**: its file in `admin/page/`, its name in the list of `admin/page/mod.rs`, and its line
//!   in `VIEWS` of `admin/page/main.js`; then its step in `tests/page/story.mjs`. What it shows comes by an admin call.
//! - **A verb**: its file in `cli/`, with its arguments and its help, and its line in `cli/mod.rs`.
//! - **A config key**: its field in a file of `config/file/`, with the comment that becomes the schema; its check in
//!   `config/check/`; its checked value in the `…Settings` type of the room that uses it.
//!
//! # Where to look
//! - a bound or a default: `bounds/mod.rs`; a text that a caller reads: `model/reason.rs`
//! - a rule of framing, target or header fields: `http/hygiene.rs`, `http/framing/`; a field that is added or removed
//!   on the way: `http/forwarding.rs`
//! - a token: `identity/token/`; the keys of an issuer and when they are fetched: `identity/keys/`; a client
//!   certificate: `identity/certificate/`; a webhook's signature: `identity/webhook/`
//! - a rate: `meter/rate.rs`; the sliding window of a budget: `meter/window/`; how records are counted:
//!   `meter/records/`
//! - what a draft of a contract takes from an OpenAPI description: `openapi/`
//! - what is usual of a vendor, and how far it is above it: `anomaly/baseline.rs`; who feeds it: `server/anomalies.rs`
//! - what was sent to whom: `exposure/report.rs`, and its Markdown in `exposure/render.rs`
//! - what a verb prints: its file in `cli/`, such as `cli/status.rs`

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the pages are for people who change the code: `.ci/run` builds them all"
)]

mod admin;
mod anomaly;
mod audit;
mod bounds;
mod cli;
mod config;
mod credentials;
mod demo;
mod exposure;
mod fleet;
mod gateway;
mod http;
mod identity;
mod interception;
mod kill;
mod listener;
mod meter;
mod model;
mod observation;
mod openapi;
mod parameters;
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
/// without notice. Without the feature the rooms stay private, and the compiler reports dead code in them.
#[cfg(feature = "internals")]
#[doc(hidden)]
#[allow(missing_docs, reason = "each room has its own page")]
pub mod internals {
    pub mod admin {
        pub use crate::admin::*;
    }
    pub mod anomaly {
        pub use crate::anomaly::*;
    }
    pub mod bounds {
        pub use crate::bounds::*;
    }
    pub mod config {
        pub use crate::config::*;
    }
    pub mod credentials {
        pub use crate::credentials::*;
    }
    pub mod exposure {
        pub use crate::exposure::*;
    }
    pub mod fleet {
        pub use crate::fleet::*;
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
    pub mod interception {
        pub use crate::interception::*;
    }
    pub mod kill {
        pub use crate::kill::*;
    }
    pub mod listener {
        pub use crate::listener::*;
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

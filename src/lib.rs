//! vendorgate: the gateway between a company and its vendors.
//!
//! One process in the path of every call between a company and its vendors. It knows each vendor by a reviewable
//! contract file, lets through what the contract grants, takes personal data out of what leaves, counts what left, and
//! cuts a vendor off, mid-flight, by one command.
//!
//! # The way of one request
//! ```text
//! listener::accept        a slot, TCP, TLS under a deadline, the client certificate
//! listener::serve         HTTP/1.1 or HTTP/2, into the tower stack: load shed, concurrency limit, catch panic
//! gateway::handle         always a response: the upstream's, or a refusal
//!   gateway::admission      synchronous, so that nothing can wait in it: ends in `Admitted`, which holds the permit
//!     http::screen            one strict reading: framing, target, headers
//!     identity                the caller: verified-token cache, else the signature; dates, rotation, revocation each time
//!     route                   the vendor's own table; no match is a denial
//!     kill                    the request is registered as in flight, before the kill switch is read
//!     policy                  kill, contract days, scope, limits: policies that spend nothing come first
//!   gateway::forward        async: consumes what was admitted
//!     pii, of the request     URL, headers, then the body as it streams
//!     upstream                the vendor's own pool, which sends only with the permit
//!     pii, meter, kill        the body of the response as it streams
//! gateway::exchange       the record is dropped: metrics and one log line, also when the peer vanishes in mid-body
//! ```
//! What must wait happens before `admit`: keys, introspection answers and revocations are gathered in the background
//! into snapshots. A request reads one [`gateway::Snapshot`] from start to end.
//!
//! # Floors
//! A room imports from lower floors only, never sideways; `tests/tidy.rs` holds it.
//!
//! | floor | rooms |
//! | --- | --- |
//! | 0 | [`model`] the words as types, [`bounds`] every bound with its reason |
//! | 1 | [`pii`] bytes in, bytes out; [`http`] reading, refusing, forwarding; [`store`] what survives; [`telemetry`] metrics and logs; [`audit`] the audit trail |
//! | 2 | [`identity`] who calls; [`meter`] how much; [`kill`] the switch; [`exposure`] what left |
//! | 3 | [`policy`] the rules of admission; [`route`] the table |
//! | 4 | [`upstream`] the pools, which send nothing without a permit |
//! | 5 | [`config`] YAML to a checked configuration |
//! | 6 | [`gateway`] the way of one request |
//! | 7 | [`listener`] sockets; [`admin`] operators |
//! | 8 | [`server`] start, reload, drain |
//! | 9 | the demonstration |
//! | 10 | [`cli`] one file a verb |
//!
//! Four ideas carry it. Half of the work is a synchronous `admit` that yields a [`policy::Permit`], which has a private field
//! and one maker, and without which nothing is sent to an upstream. A policy is a value in a list. Bodies flow through push
//! engines ([`pii::Rewriter`]) that know no I/O, so any split of the input gives the same output. Tower protects against load;
//! it never decides.
//!
//! # To add something
//! The compiler or a test asks for every step that is not the first. `docs/` follows in the same commit.
//!
//! - **A policy**: its file in `policy/`, with its `mod` line and its line in `CATALOG` of `policy/mod.rs`. A setting of its own
//!   is a config key; what it reads of a request is a field in `policy/facts.rs`, filled in `gateway/policy_input.rs`.
//! - **A reason to refuse**: its row in `model/reason.rs`, with word, status, texts and whether it counts towards a trip; and the
//!   place that returns it.
//! - **A treatment**: its row in `model/treatment.rs`; its variant in `pii/treatment/mod.rs`, and a file beside it where it is long;
//!   its arm in `config/check/rules.rs`.
//! - **A body format**: a folder in `pii/` with a [`pii::Rewriter`]; its variant, content types and engine in `pii/body/mod.rs`; its
//!   bounds in `bounds/mod.rs`; a target in `fuzz/targets.rs`.
//! - **A detector**: its kind and its search in `pii/detect/mod.rs`, and a file beside it.
//! - **A metric**: its row in `telemetry/families.rs`, and its sample in `telemetry/metrics.rs`, `telemetry/vendor_metrics.rs` or
//!   `telemetry/route_metrics.rs`.
//! - **An admin call**: its line and its trait's method in the subject's file of `admin/`; the act in the same subject's file of
//!   `server/control/`; its answer's type in the room that knows the answer; its stand-in in `admin/fake.rs`. The API's description,
//!   roles and the audit follow from the line.
//! - **A verb**: its file in `cli/`, with its arguments and its help, and its line in `cli/mod.rs`.
//! - **A config key**: its field in a file of `config/file/`, with the comment that becomes the schema; its check in
//!   `config/check/`; its settings in the room that obeys it.

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
/// without notice. A glob of each room, so that the compiler still finds dead code when the feature is off.
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

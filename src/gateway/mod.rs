//! The way of one request: it is admitted, forwarded, counted.
//!
//! Half of the work is a synchronous `admit` that ends in a permit; the other half is an async `forward` that consumes
//! it. Always responds. Never forwards what was not admitted, and never sends a byte that was not counted.

mod admission;
mod assemble;
mod attempt;
mod body_end;
mod body_pipeline;
mod body_rate;
mod body_source;
mod body_stream;
mod clear_sample;
mod consequence;
mod credentialed;
mod denied;
mod egress;
mod exchange;
mod explain;
mod fallback;
mod forward;
mod handle;
mod headers;
mod last_good;
mod observe;
mod observed_body;
mod observers;
mod parameters;
mod peer;
mod policy_input;
mod rate_headers;
mod recheck;
mod refusal;
mod replay;
mod request_outcome;
mod retry;
mod route_fallback;
mod rule_matches;
mod seen;
mod seen_body;
mod send;
mod snapshot;
mod stack;
mod state;
mod streamed;
mod target;
mod tunnel;
mod undeclared;
mod unmatched;
mod vendor_credential;
mod vendor_upstreams;
mod webhook;
mod webhook_reply;
mod websocket;
mod websocket_messages;
mod withheld;

pub use assemble::{AssembleError, GatewayServices, assemble};
pub use egress::{EnteredTunnel, GrantedTunnel, TLS_HANDSHAKE, UnknownDestinations};
pub use explain::{ExplainOutcome, ExplainQuery, Explainer, Explanation};
pub use last_good::LastGoodStore;
pub use peer::{ConnectionArrival, Peer};
pub use snapshot::VendorRuntime;
pub use stack::ServiceStack;
pub use state::{AuthorityEpoch, Gateway};
pub use unmatched::RuleNeverMatched;

//! The way of one request: admit, forward, account.
//!
//! Half of the work is a synchronous `admit` that ends in a permit; the other half is an async `forward` that consumes
//! it. Always answers. Never forwards what was not admitted, and never lets a byte leave that was not accounted for.

mod assemble;
mod body_pipeline;
mod body_rate;
mod body_source;
mod body_stream;
mod clear_sample;
mod consequence;
mod egress;
mod exchange;
mod explain;
mod forward;
mod handle;
mod headers;
mod observers;
mod peer;
mod recheck;
mod rule_matches;
mod snapshot;
mod stack;
mod streamed;
mod target;
mod unfinished;
mod webhook;
mod webhook_reply;
mod websocket;
mod withheld;

pub use assemble::{AssembleError, GatewayServices, assemble};
pub use explain::{ExplainOutcome, ExplainQuery, Explainer, Explanation};
pub use handle::Gateway;
pub use peer::Peer;
pub use recheck::AuthorityEpoch;
pub use rule_matches::RuleNeverMatched;
pub use snapshot::VendorRuntime;
pub use stack::ServiceStack;

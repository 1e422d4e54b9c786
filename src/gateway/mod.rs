//! The way of one request: admit, forward, account.
//!
//! Half of the work is a synchronous `admit` that ends in a permit; the other half is an async `forward` that consumes
//! it. Always answers. Never forwards what was not admitted, and never lets a byte leave that was not accounted for.

mod account;
mod assemble;
mod bodies;
mod consequence;
mod door;
mod egress;
mod exchange;
mod explain;
mod forward;
mod greet;
mod ground;
mod handle;
mod looks;
mod matched;
mod owners;
mod pace;
mod peer;
mod snapshot;
mod source;
mod stack;
mod target;
mod unfinished;
mod watch;
mod webhook;
mod websocket;
mod withheld;

pub use assemble::{AssembleError, Rooms, assemble};
pub use explain::{Explainer, Explanation, Outcome, Question};
pub use ground::Ground;
pub use handle::Gateway;
pub use matched::Unmatched;
pub use peer::Peer;
pub use snapshot::{Route, Snapshot, Vendor};
pub use stack::Stack;

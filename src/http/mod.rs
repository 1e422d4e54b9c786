//! HTTP as we read and write it: one strict reading of a request, forwarding headers, refusals, and a small client.
//!
//! Knows no vendor and no policy. Never lets a header that we set be chosen by the other side.

mod body;
mod fetch;
mod forwarded;
mod framing;
mod hygiene;
mod path;
pub mod pem;
mod refusal;
mod request_id;
mod slots;
mod spelling;
mod wire;

pub use body::{BodyError, GatewayBody};
pub use fetch::{FetchError, FetchOptions, FetchUrl, Fetched, Fetcher, native_roots};
pub use forwarded::{
    Forwarding, join_cookies, name_websocket, names_websocket, prepare_request, prepare_response, strip_validators,
    trailer_may_pass,
};
pub use framing::{Asked, Expected, Flaw, Screened, Turns};
pub use hygiene::{Target, is_framed_once, screen};
pub use path::is_canonical;
pub use refusal::{Challenge, refuse, withheld};
pub use request_id::{RequestId, RequestIds};
pub use slots::{Group, Network, Seat, Slot, SlotCounts, Slots, is_out_of_descriptors};
pub use wire::Wire;

/// A request that can be read in more than one way, or in none; whoever sent it is told so in one sentence.
const fn malformed(sentence: &'static str) -> crate::model::Denial {
    crate::model::Denial::telling(crate::model::Reason::RequestMalformed, sentence)
}

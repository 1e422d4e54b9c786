//! HTTP as we read and write it: one strict reading of a request, forwarding headers, refusals, and a small client.
//!
//! Knows no vendor and no policy. Never lets a header that we set be chosen by the other side.

mod body;
mod fetch;
mod forwarded;
mod hygiene;
mod refusal;
mod request_id;
mod wire;

pub use body::{BodyError, GatewayBody};
pub use fetch::{FetchError, FetchOptions, FetchUrl, Fetched, Fetcher, native_roots};
pub use forwarded::{
    Forwarding, name_websocket, names_websocket, prepare_request, prepare_response, strip_validators, trailer_may_pass,
};
pub use hygiene::{Target, is_framed_once, screen};
pub use refusal::{Challenge, refuse};
pub use request_id::{RequestId, RequestIds};
pub use wire::Wire;

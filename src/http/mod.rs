//! HTTP as the gateway reads and writes it: one strict reading of requests, header fields for the next hop, refusals,
//! slots for connections, and the gateway's own client.
//!
//! Knows no vendor and no policy. Never lets the other side choose a header field that the gateway sets.

mod body;
mod byte_stream;
mod client;
mod form;
mod forwarding;
mod framing;
mod grpc;
mod host;
mod host_port;
mod hygiene;
mod key_pin;
mod path;
pub mod pem;
mod prefixed_stream;
mod refusal;
mod request_id;
mod slots;
mod spelling;
mod tls;
mod url;
mod websocket_frames;
mod write_stall;

pub use body::{BodyError, GatewayBody};
pub use byte_stream::ByteStream;
pub use client::{AddressCheck, ClientError, ClientOptions, ClientResponse, Destination, HttpClient, ResponseStream};
pub use form::form_encode;
pub use forwarding::{
    ForwardingContext, PSEUDONYM, is_trailer_allowed, is_websocket_upgrade, join_cookies, prepare_request,
    prepare_response, refuse_extensions, set_websocket_upgrade, strip_validators,
};
pub use framing::{ExpectedResponse, FramingError, PendingResponse, RequestSequence, ScreenedStream};
pub use grpc::{grpc_trailers, is_grpc, refuse_grpc};
pub use host::{bare_host, is_loopback, is_loopback_address};
pub use host_port::HostPort;
pub use hygiene::{RequestTarget, is_framed_once, screen, screen_connect};
pub use key_pin::KeyPin;
pub use path::is_canonical;
pub use prefixed_stream::PrefixedStream;
pub use refusal::{Challenge, refuse, withhold_body};
pub use request_id::{RequestId, RequestIds};
pub use slots::{PeerNetwork, PooledSlot, SlotGroup, SlotHolder, SlotPool, is_out_of_descriptors};
pub use tls::{client_tls, native_roots, pinned_client_tls};
pub use url::{Url, UrlError, UrlScheme};
pub use websocket_frames::{FrameError, FramePart, FrameReader, FrameWriter, MessageKind, WebSocketSide};
pub use write_stall::WriteStall;

/// The denial of a request that can be read in more than one way, or in none. The caller gets the sentence.
const fn malformed(sentence: &'static str) -> crate::model::Denial {
    crate::model::Denial::with_public_text(crate::model::Reason::RequestMalformed, sentence)
}

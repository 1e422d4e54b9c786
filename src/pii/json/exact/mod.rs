//! The exact reader: every byte is read, and every decision is made here.
//!
//! [`ExactReader`] knows the grammar, `ValueHandler` decides what is done with each value and where its bytes go,
//! [`JsonContext`] does it, and [`JsonState`] is what one stream remembers from chunk to chunk.

mod context;
mod output;
mod reader;
mod scalar;
mod secret_buffer;
mod state;
mod subject;
mod text;
mod token;
mod utf8;
mod values;

pub(super) use context::JsonContext;
pub(super) use reader::ExactReader;
pub(super) use scalar::is_literal;
pub(super) use state::{JsonFrame, JsonMode, JsonState};
pub(super) use text::decode_name;
pub(super) use utf8::Utf8Carry;

//! Who is calling: from credentials to a [`crate::model::Caller`].
//!
//! Takes the algorithm and key from the contract and its keys, never from the token. Never fetches while deciding.

mod claims;
mod flaw;
mod json;
mod jwk;
mod jwt;
mod keyset;
mod settings;
mod signing;

pub use json::JsonError;
pub use keyset::{KeysetError, inspect_keys};
pub use settings::{Algorithm, KeySource, Rotation, Sender, Settings};
pub use signing::{SigningError, SigningKey};

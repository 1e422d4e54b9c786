//! Who is calling: from credentials to a [`crate::model::Caller`].
//!
//! Takes the algorithm and key from the contract and its keys, never from the token. Never fetches while deciding.

mod settings;

pub use settings::{Algorithm, KeySource, Rotation, Sender, Settings};

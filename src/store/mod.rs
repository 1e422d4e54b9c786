//! What must survive a restart: the durable tables.
//!
//! One folder, one redb file, one writer thread. A write is durable when its [`WriteAck`] resolves and not before, so
//! whoever answers a person waits for it; whoever must not wait drops it. Rows are typed and versioned by the rooms
//! that own them ([`StoreRow`]), or opaque bytes. Never guesses: what cannot be read is an error, and the caller then
//! starts with every vendor killed.

mod embedded;
mod error;
mod folder;
mod table;
mod writer;

#[cfg(test)]
pub(crate) mod faulty;
#[cfg(test)]
mod tests;

pub use embedded::Store;
pub use error::StoreError;
pub use table::{RowError, StoreRow, StoreTable, WriteBatch};
pub use writer::WriteAck;

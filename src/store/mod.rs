//! The durable tables: all that must survive a restart.
//!
//! One folder, one redb file, one writer thread. A write is durable when its [`WriteAck`] resolves: an answer to an
//! operator waits for it, a request on its way does not. Rows are typed and versioned by the rooms that own them
//! ([`StoreRow`]), or opaque bytes. What cannot be read is an error, never a guess, and the caller then starts with
//! every vendor killed.

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

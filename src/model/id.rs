//! Ids that operators choose for vendors and upstreams, and the two directions of traffic.
//!
//! An id is short, in lower case and without separators, so it can be used in a path, a metric label and a log line as
//! it is.

use std::fmt;
use std::sync::Arc;

use super::words;

/// Longest id, in bytes: the length of a DNS label, so that an id can become one.
const ID_BYTES_MAX: usize = 63;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit")]
pub struct IdError;

/// Ids of one kind each, which never stand for one another.
macro_rules! ids {
    ($($(#[$meta:meta])* pub struct $id:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $id(Arc<str>);

        impl $id {
            /// Reads an id.
            ///
            /// # Errors
            /// [`IdError`] when the text is empty, longer than 63 bytes, or holds anything but `a-z`, `0-9` and inner
            /// `-`.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                parse(text).map(Self)
            }

            /// The id as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

ids! {
    /// A third party with a contract: the unit of identity, limits, metrics and kill.
    pub struct VendorId;
    /// The name of an internal API that routes point at.
    pub struct UpstreamId;
}

/// Lets a map keyed by vendor be searched with the text of a request, without building an id.
impl std::borrow::Borrow<str> for VendorId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

words! {
    /// Which way a call goes.
    #[derive(
        Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
    )]
    #[serde(rename_all = "lowercase")]
    pub enum Direction {
        /// A vendor calls an internal API.
        Ingress = "ingress",
        /// One of our services calls a vendor's API.
        Egress = "egress",
    }
}

impl Direction {
    /// A place in a table of two.
    pub const fn index(self) -> usize {
        self as usize
    }
}

fn parse(text: &str) -> Result<Arc<str>, IdError> {
    let bytes = text.as_bytes();
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edges = bytes.first().is_some_and(alnum) && bytes.last().is_some_and(alnum);
    if edges && bytes.len() <= ID_BYTES_MAX && bytes.iter().all(|b| alnum(b) || *b == b'-') {
        Ok(text.into())
    } else {
        Err(IdError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_dns_labels() {
        for good in ["a", "acme-analytics", "7-eleven", &"x".repeat(63)] {
            assert!(VendorId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Acme", "a_b", "a/b", "a.b", "ä", &"x".repeat(64)] {
            assert_eq!(VendorId::parse(bad), Err(IdError), "{bad}");
        }
    }
}

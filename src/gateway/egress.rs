//! Requests of the company's own services: the first segment of the path names the vendor that they call.
//!
//! The host that is dialled comes from the contract, never from the request.

use crate::model::{Denial, Reason};

/// Splits a canonical egress path into the name of the vendor and the path on the vendor's side.
///
/// # Errors
/// [`Reason::DestinationUnknown`] when the path names no vendor.
pub(super) fn split_vendor(path: &str) -> Result<(&str, &str), Denial> {
    let rest = path.strip_prefix('/').unwrap_or(path);
    let end = rest.find('/').unwrap_or(rest.len());
    let (vendor, path) = rest.split_at(end);
    if vendor.is_empty() {
        return Err(Denial::new(Reason::DestinationUnknown, "the path does not begin with a vendor's name"));
    }
    Ok((vendor, if path.is_empty() { "/" } else { path }))
}

/// The denial of a path with an encoded slash, which the route does not allow.
pub(super) fn encoded_slash() -> Denial {
    let text = "The path holds an encoded slash (%2F), and its route does not say allow_encoded_slash: true.";
    Denial::with_public_text(Reason::RequestMalformed, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_of_an_egress_path_names_the_vendor() {
        assert_eq!(split_vendor("/acme/v2/events"), Ok(("acme", "/v2/events")));
        assert_eq!(split_vendor("/acme"), Ok(("acme", "/")));
        assert_eq!(split_vendor("/acme/"), Ok(("acme", "/")));
        for path in ["/", "//acme/v2"] {
            assert_eq!(split_vendor(path).map_err(|denial| denial.reason), Err(Reason::DestinationUnknown), "{path}");
        }
    }
}

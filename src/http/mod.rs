//! HTTP as we read and write it: hygiene of requests, forwarding headers, refusals.

mod fetch;

pub use fetch::{FetchError, FetchOptions, FetchUrl, Fetched, Fetcher};

//! HTTP as we read and write it: hygiene of requests, forwarding headers, refusals.

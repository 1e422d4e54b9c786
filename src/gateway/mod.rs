//! The way of one request: admit, forward, account.

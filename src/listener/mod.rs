//! Sockets: accept, TLS, HTTP.

//! The product from outside: one binary, a `mod` per subject.

#[path = "../support/attacks/mod.rs"]
mod attacks;
mod support;

mod admin;
mod answers;
mod authorization_server;
mod blame;
mod bonds;
mod bound;
mod budgets;
mod canary;
mod command_line;
mod configs;
mod deadlines;
mod demo;
mod drills;
mod egress;
mod evidence;
mod exfiltration;
mod explain;
mod formats;
mod framing;
mod ground;
mod hooks;
mod http2;
mod identity;
mod kill;
mod life;
mod limits;
mod memory;
mod observed;
mod orders;
mod personal;
mod pii_test;
mod reveal;
mod revocation;
mod severed;
mod siege;
mod standing;
mod thief;
mod transport;
mod webhook;
mod websocket;
mod why;
mod withheld;

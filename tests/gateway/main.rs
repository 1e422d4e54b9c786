//! The product from outside: one binary, a `mod` per subject.

mod command_line;
mod configs;
mod demo;

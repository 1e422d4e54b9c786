//! The product from outside: one binary, a `mod` per subject.

mod configs;

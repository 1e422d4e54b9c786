//! The rules of admission: pure, synchronous, in a chain.

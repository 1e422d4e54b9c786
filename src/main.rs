//! The program: from arguments to a verb, from errors to exit codes.

fn main() {}

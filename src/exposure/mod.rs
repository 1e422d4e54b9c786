//! What left, to whom, and how treated.

//! Methods and path patterns, inside one contract.

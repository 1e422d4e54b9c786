//! The admin listener: probes, metrics, and the calls of operators.

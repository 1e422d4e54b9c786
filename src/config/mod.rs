//! From YAML to a checked configuration, with every fault at once.

//! Connections to internal APIs and to vendors, one pool per vendor and worker.

//! What must survive a restart: the durable tables.

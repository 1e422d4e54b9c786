//! vendorgate: the gateway between a company and its vendors.

pub mod admin;
pub mod bounds;
pub mod cli;
pub mod config;
pub mod demo;
pub mod exposure;
pub mod gateway;
pub mod http;
pub mod identity;
pub mod kill;
pub mod listener;
pub mod meter;
pub mod model;
pub mod pii;
pub mod policy;
pub mod route;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod upstream;

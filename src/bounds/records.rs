//! The bounds of what is counted: by caller, and message by message.

/// Callers of one route that are told apart, live, in an hour and in a day: 2 KiB a route, and the names of each.
pub const EXPOSURE_CALLERS_MAX: usize = 128;
/// Longest name of a caller that is kept, in bytes: names of services and clients, not a token's whole subject.
pub const EXPOSURE_CALLER_NAME_MAX: usize = 256;
/// Callers that one report lists, the ones by whom most left; all others are summed up.
pub const EXPOSURE_REPORT_CALLERS_MAX: usize = 256;
/// Longest message of a gRPC call whose messages are counted: clients take 4 MiB unless told otherwise. A longer one
/// would be one record, however many it holds.
pub const GRPC_MESSAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

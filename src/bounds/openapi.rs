//! How much of the description of an API is read. It comes from outside, so its size, depth and references are bounded.

/// Largest description: that of a large API has some 13 MB.
pub const OPENAPI_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most values of a description in YAML, counted with each copy that an alias makes.
pub const OPENAPI_NODES_MAX: usize = 4_000_000;
/// Most values that aliases copy: a few lines can otherwise stand for billions.
pub const OPENAPI_ALIASED_MAX: usize = 200_000;
/// Deepest nesting, which is also the bound of the JSON reader.
pub const OPENAPI_DEPTH_MAX: usize = 128;
/// Most references that lead to one another before one leads to a value.
pub const OPENAPI_HOPS_MAX: usize = 32;
/// Most schemas that are looked at for the fields of one message.
pub const OPENAPI_SCHEMAS_MAX: usize = 5_000;
/// Most fields that a draft lists of one message: a longer list is not reviewed. Deeper fields are then left out.
pub const OPENAPI_FIELDS_MAX: usize = 300;
/// Most operations that are looked at.
pub const OPENAPI_OPERATIONS_MAX: usize = 10_000;

//! What `vendorgate --version` prints: the version, the commit that a release was built from, and how it was built.

/// The version, its commit and its build. To be called once: it is kept until the end of the process.
///
/// The release script sets `VENDORGATE_COMMIT`; a build without it does not know what its tree was.
pub(super) fn in_full() -> &'static str {
    let commit = option_env!("VENDORGATE_COMMIT").unwrap_or("unknown");
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    let linked = if cfg!(target_env = "musl") { "static, musl" } else { "dynamic" };
    let internals = if cfg!(feature = "internals") { ", internals" } else { "" };
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{version}\ncommit: {commit}\nbuild: {machine} {system}, {linked}, TLS by rustls and aws-lc, mimalloc{internals}"
    )
    .leak()
}

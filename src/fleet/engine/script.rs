//! Lua scripts, which the engine runs as one step.

use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::model::hex;

/// A script. It touches only the keys that are passed to it, so that a cluster can tell where it runs.
#[derive(Debug)]
pub struct FleetScript {
    text: &'static str,
    digest: OnceLock<String>,
}

impl FleetScript {
    /// A script with this text.
    pub const fn new(text: &'static str) -> Self {
        Self { text, digest: OnceLock::new() }
    }

    pub(super) const fn text(&self) -> &'static str {
        self.text
    }

    /// The name under which the engine keeps the script: its SHA-1 in hexadecimal. It guards nothing.
    pub(super) fn digest(&self) -> &str {
        self.digest.get_or_init(|| hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, self.text.as_bytes()).as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_named_as_the_engine_names_it() {
        assert_eq!(FleetScript::new("return 1").digest(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }
}

//! An operator's mistake: where it is, what is wrong, what to write instead.
//!
//! Faults are collected, so that one run shows them all. A fault never shows a value that came from the environment.

use std::fmt;

use serde_json::{Value, json};

/// Whether a fault keeps the gateway from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultSeverity {
    /// The gateway does not start.
    Fault,
    /// The gateway starts; on another machine it may not, such as where a key file is missing only here.
    Warning,
}

/// One mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// Whether it keeps the gateway from starting.
    pub severity: FaultSeverity,
    /// The file, as the operator would name it from where the program was started.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// The key, such as `limits.requests.rate`; empty for the file as a whole.
    pub path: String,
    /// What is wrong, beginning with a verb.
    pub wrong: String,
    /// What to do about it, beginning with a verb; empty where there is nothing to say.
    pub instead: String,
    /// The line of the file; empty where it must not be shown.
    pub source: String,
}

/// All faults of a configuration, sorted by file and position. Never empty when it is returned as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigFaults(Vec<ConfigFault>);

impl ConfigFault {
    /// The line of the file, with a caret under the column.
    pub fn snippet(&self) -> Option<String> {
        const SHOWN_CHARS_MAX: usize = 160;
        let place = usize::try_from(self.column).ok()?.checked_sub(1)?;
        if self.source.trim().is_empty() || place > SHOWN_CHARS_MAX {
            return None;
        }
        let line: String = self.source.chars().take(SHOWN_CHARS_MAX).map(|c| if c == '\t' { ' ' } else { c }).collect();
        Some(format!("{:>6} | {line}\n       | {:place$}^", self.line, ""))
    }

    fn to_json(&self) -> Value {
        json!({
            "severity": match self.severity { FaultSeverity::Fault => "fault", FaultSeverity::Warning => "warning" },
            "file": self.file, "line": self.line, "column": self.column, "path": self.path,
            "wrong": self.wrong, "instead": self.instead,
        })
    }
}

/// `contracts/acme.yaml:14:9 limits.requests.rate: must be at least 1/s (got 0/s); write 50/s`
impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        write!(f, ": {}", self.wrong)?;
        if self.instead.is_empty() { Ok(()) } else { write!(f, "; {}", self.instead) }
    }
}

impl ConfigFaults {
    /// Sorts faults by file and position, and removes repeated ones.
    pub(super) fn new(mut faults: Vec<ConfigFault>) -> Self {
        faults.sort_by(|a, b| (&a.file, a.line, a.column, &a.path).cmp(&(&b.file, b.line, b.column, &b.path)));
        faults.dedup();
        Self(faults)
    }

    /// The faults as a slice.
    pub fn as_slice(&self) -> &[ConfigFault] {
        &self.0
    }

    /// Whether one of them keeps the gateway from starting.
    pub fn any_fatal(&self) -> bool {
        self.0.iter().any(|fault| fault.severity == FaultSeverity::Fault)
    }

    /// The form for scripts: an array of objects with the members of [`ConfigFault`].
    pub fn to_json(&self) -> Value {
        self.0.iter().map(ConfigFault::to_json).collect()
    }

    /// The form for people: each fault with its line of the file.
    pub fn with_snippets(&self) -> String {
        let mut text = String::new();
        for fault in &self.0 {
            let mark = if fault.severity == FaultSeverity::Warning { "warning: " } else { "" };
            text.push_str(&format!("{mark}{fault}\n"));
            text.extend(fault.snippet().map(|snippet| format!("{snippet}\n")));
        }
        text
    }
}

/// One line for each fault.
impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigFaults {}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: u64, column: u64) -> ConfigFault {
        ConfigFault {
            severity: FaultSeverity::Fault,
            file: "contracts/acme.yaml".into(),
            line,
            column,
            path: "limits.requests.rate".into(),
            wrong: "must be at least 1/s (got 0/s)".into(),
            instead: "write 50/s".into(),
            source: "    rate: 0/s".into(),
        }
    }

    #[test]
    fn a_fault_prints_as_one_line_and_a_snippet_with_a_caret() {
        let shown = "contracts/acme.yaml:14:11 limits.requests.rate: must be at least 1/s (got 0/s); write 50/s";
        assert_eq!(fault(14, 11).to_string(), shown);
        assert_eq!(fault(14, 11).snippet().as_deref(), Some("    14 |     rate: 0/s\n       |           ^"));
        assert_eq!(fault(14, 0).snippet(), None);
    }

    #[test]
    fn faults_are_sorted_by_position_and_listed_once() {
        let faults = ConfigFaults::new(vec![fault(9, 1), fault(2, 5), fault(9, 1), fault(2, 3)]);
        let places: Vec<_> = faults.as_slice().iter().map(|fault| (fault.line, fault.column)).collect();
        assert_eq!(places, [(2, 3), (2, 5), (9, 1)]);
    }
}

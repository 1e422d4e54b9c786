//! Label values that come from closed lists of our own.
//!
//! A word here stands in dashboards and alerts: it is never renamed.

/// What happened to a personal value, as the label of `vendorgate_pii_values_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TreatmentLabel {
    /// A reversible token took its place.
    Tokenize,
    /// A keyed hash took its place.
    Hash,
    /// It was encrypted in its own format.
    EncryptFormat,
    /// Part of it was hidden.
    Mask,
    /// A constant took its place.
    Redact,
    /// It was left out.
    Drop,
    /// It was made coarser.
    Generalize,
    /// A token became the value again.
    Reveal,
    /// A detector found it, and let it pass.
    Report,
}

impl TreatmentLabel {
    /// Every treatment, in the order of its number.
    pub const ALL: [Self; 9] = [
        Self::Tokenize,
        Self::Hash,
        Self::EncryptFormat,
        Self::Mask,
        Self::Redact,
        Self::Drop,
        Self::Generalize,
        Self::Reveal,
        Self::Report,
    ];

    /// The word used in config, metrics and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tokenize => "tokenize",
            Self::Hash => "hash",
            Self::EncryptFormat => "encrypt_format",
            Self::Mask => "mask",
            Self::Redact => "redact",
            Self::Drop => "drop",
            Self::Generalize => "generalize",
            Self::Reveal => "reveal",
            Self::Report => "report",
        }
    }
}

/// A limit of a contract, as the label of `vendorgate_limit_remaining_ratio`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitLabel {
    /// Requests per time.
    Requests,
    /// Requests in flight.
    Concurrency,
    /// Records per window.
    Records,
    /// Bytes per window.
    Bytes,
}

impl LimitLabel {
    /// Every limit, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Requests, Self::Concurrency, Self::Records, Self::Bytes];

    /// The word used in config and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Concurrency => "concurrency",
            Self::Records => "records",
            Self::Bytes => "bytes",
        }
    }
}

/// How a look-up in the verified-token cache ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheResult {
    /// The token was known.
    Hit,
    /// Its signature had to be checked.
    Miss,
}

/// A place of durable or shared state, as the label of `vendorgate_state_errors_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreLabel {
    /// The tables on this machine's disk.
    Embedded,
    /// The audit trail.
    Audit,
}

impl StoreLabel {
    pub(super) const ALL: [(Self, &str); 2] = [(Self::Embedded, "embedded"), (Self::Audit, "audit")];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashboards_find_every_treatment_under_its_word() {
        let words = TreatmentLabel::ALL.map(TreatmentLabel::as_str);
        let golden = include_str!("../../tests/golden/treatments.tsv").lines();
        assert!(golden.map(|line| line.split('\t').next().expect("a word")).all(|word| words.contains(&word)));
    }
}

//! How many calls came in a second and in a minute: enough to say what 99 of 100 busy ones did not exceed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Busy spans of one length, by the number of calls in each. Counts over 100 are kept to two digits, so the number of
/// entries is bounded by some hundreds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BusySpans {
    spans: BTreeMap<u64, u64>,
    /// The span that is under way, and its calls.
    open: (u64, u64),
}

impl BusySpans {
    /// A call came in the span of this number. A clock that goes back counts in the span that is under way.
    pub(super) fn call(&mut self, span: u64) {
        if span > self.open.0 {
            self.close();
            self.open = (span, 0);
        }
        self.open.1 += 1;
    }

    fn close(&mut self) {
        if self.open.1 > 0 {
            *self.spans.entry(rounded_up(self.open.1)).or_default() += 1;
        }
    }

    /// What 99 of 100 busy spans did not exceed.
    pub(super) fn percentile_99(&self) -> u64 {
        let mut all = self.clone();
        all.close();
        let total: u64 = all.spans.values().sum();
        let mut below = 0;
        for (calls, spans) in &all.spans {
            below += spans;
            if below * 100 >= total * 99 {
                return *calls;
            }
        }
        0
    }
}

/// The next number of two digits and zeros.
fn rounded_up(calls: u64) -> u64 {
    let mut unit = 1;
    while calls / unit >= 100 {
        unit *= 10;
    }
    calls.div_ceil(unit) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_busy_second_in_a_hundred_is_left_out() {
        let mut seconds = BusySpans::default();
        for second in 1..=100 {
            (0..if second == 50 { 1_000 } else { 3 }).for_each(|_| seconds.call(second));
        }
        assert_eq!(seconds.percentile_99(), 3);
        (0..999).for_each(|_| seconds.call(101));
        assert_eq!(seconds.percentile_99(), 1_000, "two of a hundred and one are more than one in a hundred");
        assert_eq!(rounded_up(12_345), 13_000);
    }
}

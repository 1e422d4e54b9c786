//! What was learned of a vendor, as it is stored: about 1.4 KB for each signal.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use super::baseline::{Learned, SLOTS, Slot, WINDOWS};
use super::{AnomalySignal, Baseline, MEASURED, VendorAnomalies};
use crate::model::UnixTime;

/// What was learned of a vendor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnomalyRow {
    known_since: Option<UnixTime>,
    routes: BTreeSet<String>,
    signals: BTreeMap<AnomalySignal, SignalRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SignalRow {
    hours: u32,
    noise: [f32; WINDOWS],
    noise_hours: f32,
    lift: f32,
    sum: f32,
    /// The slots, each number as 16 bits of its logarithm.
    slots: String,
}

/// Steps of the logarithm of base 2: exact to 0.04 %, up to 2^64.
const STEPS: f32 = 1_000.0;

impl VendorAnomalies {
    /// What was learned so far.
    pub fn row(&self) -> AnomalyRow {
        let learned = AnomalySignal::ALL.into_iter().zip(&self.baselines);
        let signals = learned.filter_map(|(signal, baseline)| Some((signal, signal_row(&baseline.as_ref()?.learned))));
        AnomalyRow { known_since: self.known_since, routes: self.routes.clone(), signals: signals.collect() }
    }
}

impl From<AnomalyRow> for VendorAnomalies {
    fn from(row: AnomalyRow) -> Self {
        let mut baselines: [Option<Box<Baseline>>; MEASURED] = Default::default();
        for (baseline, signal) in baselines.iter_mut().zip(AnomalySignal::ALL) {
            let learned = row.signals.get(&signal).and_then(learned);
            *baseline = learned.map(|learned| Box::new(Baseline::from(learned)));
        }
        Self { baselines, routes: row.routes, known_since: row.known_since, ..Self::default() }
    }
}

fn signal_row(learned: &Learned) -> SignalRow {
    let numbers = learned.slots.iter().flat_map(|slot| match slot.0 {
        None => [0; WINDOWS],
        Some(usual) => usual.map(code),
    });
    let bytes: Vec<u8> = numbers.flat_map(u16::to_le_bytes).collect();
    let Learned { noise, noise_hours, lift, sum, hours, slots: _ } = *learned;
    SignalRow { hours, noise, noise_hours, lift, sum, slots: BASE64.encode(bytes) }
}

/// `None` where the row does not hold a whole week: the signal is then learned anew.
fn learned(row: &SignalRow) -> Option<Learned> {
    let bytes = BASE64.decode(&row.slots).ok().filter(|bytes| bytes.len() == SLOTS * WINDOWS * 2)?;
    let SignalRow { hours, noise, noise_hours, lift, sum, slots: _ } = *row;
    let mut learned = Learned { hours, noise, noise_hours, lift, sum, ..Learned::default() };
    for (slot, bytes) in learned.slots.iter_mut().zip(bytes.chunks_exact(WINDOWS * 2)) {
        let number = |i: usize| u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]);
        let numbers: [u16; WINDOWS] = std::array::from_fn(number);
        *slot = Slot((numbers[0] > 0).then(|| numbers.map(value)));
    }
    Some(learned)
}

/// 1 for zero; 0 is a slot that was never seen.
fn code(value: f32) -> u16 {
    (1.0 + (value + 1.0).log2() * STEPS).round() as u16
}

fn value(code: u16) -> f32 {
    (f32::from(code.max(1) - 1) / STEPS).exp2() - 1.0
}

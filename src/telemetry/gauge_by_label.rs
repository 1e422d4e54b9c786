//! A gauge of one label whose values are set all at once, such as the stages of the journey.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::families::{FamilyDefinition, ScrapePage};
use crate::model::Lock as _;

/// The value of each label; what is no longer set is no longer exposed.
#[derive(Debug, Default)]
pub(super) struct GaugeByLabel(Mutex<BTreeMap<String, f64>>);

impl GaugeByLabel {
    pub(super) fn set(&self, values: BTreeMap<String, f64>) {
        *self.0.locked() = values;
    }

    pub(super) fn read(&self, page: &mut ScrapePage, family: &FamilyDefinition) {
        for (label, value) in self.0.locked().iter() {
            page.gauge(family, &[label], *value);
        }
    }
}

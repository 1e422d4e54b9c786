//! What a suggested contract takes over from the contract as it is: its sections, as they are written.
//!
//! Text, and not checked settings: comments stay, and `${NAME}` stays a name, so that no value of the environment gets
//! into an answer.

use std::path::Path;

use super::load::{ConfigLoader, text_of};
use super::source::FaultReport;
use crate::model::VendorId;
use crate::observation::ContractText;

impl ConfigLoader<'_> {
    /// The text of a vendor's contract in the folder that the main file names; `None` where it cannot be found.
    pub fn contract_sections(&self, main: &Path, vendor: &VendorId) -> Option<ContractText> {
        let is_its = |text: &ContractText| text.scalar("vendor") == Some(vendor.as_str());
        let paths = self.contract_files(main);
        paths.iter().filter_map(|path| self.contract_text(path)).map(|text| ContractText::new(&text)).find(is_its)
    }

    /// The text of a contract's file; `None` where it cannot be read, without a report.
    pub(super) fn contract_text(&self, path: &Path) -> Option<String> {
        text_of(path, &FaultReport::new(self.missing_secrets), "")
    }
}

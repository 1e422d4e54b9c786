//! Reads contracts by themselves: one file, or all files of a folder, without the main file that names them.

use std::path::{Path, PathBuf};

use super::check::{self, ContractContext};
use super::contract::Contract;
use super::fault::ConfigFaults;
use super::load::{ConfigLoader, ContractFile, finish, is_contract};
use super::source::FaultReport;
use crate::bounds::CONTRACTS_MAX;

impl ConfigLoader<'_> {
    /// Reads one contract, or all contracts of a folder, by themselves, as [`Self::load_contract`] does.
    ///
    /// # Errors
    /// Every fault of every file at once; also a folder without contracts.
    pub fn load_contracts(&self, path: &Path) -> Result<Vec<Contract>, ConfigFaults> {
        if !path.is_dir() {
            return self.load_contract(path).map(|contract| vec![contract]);
        }
        let report = FaultReport::new(self.missing_secrets);
        let mut paths: Vec<PathBuf> = match std::fs::read_dir(path) {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|it| is_contract(it)).collect(),
            Err(error) => {
                report.file_fault(
                    path,
                    format!("cannot be read: {error}"),
                    "name a contract, or a folder of contracts",
                );
                Vec::new()
            }
        };
        paths.sort();
        if paths.len() > CONTRACTS_MAX {
            report.file_fault(
                path,
                format!("holds more than {CONTRACTS_MAX} files"),
                "split them over several folders",
            );
        }
        let files: Vec<ContractFile> =
            paths.iter().take(CONTRACTS_MAX).filter_map(|path| self.read_contract(path, &report)).collect();
        let context =
            ContractContext { upstreams: None, client_ca: None, listeners: None, callers: None, now: self.now };
        let all = files
            .iter()
            .map(|file| check::contract(&file.source.root(&report), &file.written, &context))
            .collect::<Option<Vec<_>>>();
        finish(report, all.filter(|all| all.len() == paths.len()), path).map(|(contracts, _)| contracts)
    }
}

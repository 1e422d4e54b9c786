//! Reads contracts by themselves: one file, or all files of a folder, without the main file that names them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::check::{self, ContractContext};
use super::contract::Contract;
use super::fault::ConfigFaults;
use super::file;
use super::file::residency::ResidencyConfig;
use super::load::{ConfigLoader, ContractFile, finish};
use super::residency::ResidencyPolicy;
use super::schema::ConfigFileKind;
use super::source::{Cursor, FaultReport, SourceFile};
use crate::bounds::CONTRACTS_MAX;
use crate::model::hex;

impl ConfigLoader<'_> {
    /// The residency policy that the main file names, with its file; `None` also where it has a fault.
    pub(super) fn read_residency(
        &self,
        at: &Cursor<'_>,
        text: Option<&str>,
        report: &FaultReport,
    ) -> Option<(SourceFile, ResidencyPolicy)> {
        let path = at.file_path(text?);
        report.looked_at(&path);
        if !path.is_file() {
            let wrong = format!("no such file: {}", path.display());
            at.key("residency").fault(wrong, "see `vendorgate schema residency` for what it can hold");
            return None;
        }
        let (source, written) = self.read::<ResidencyConfig>(&path, ConfigFileKind::Residency, report)?;
        let faults = report.fatal_count();
        let policy = check::residency_policy(&source.root(report), &written, path.display().to_string());
        (report.fatal_count() == faults && written.otherwise.is_some()).then_some((source, policy))
    }

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
        let all = self.each_by_itself(&files, &report);
        finish(report, all.filter(|all| all.len() == paths.len()), path).map(|(contracts, _)| contracts)
    }

    /// Reads the contracts that a main file names, by themselves: what the main file says of listeners, authorities
    /// and upstreams need not be there yet.
    ///
    /// # Errors
    /// The faults of the main file's shape, and of each contract.
    pub fn contracts_of(&self, main: &Path) -> Result<Vec<Contract>, ConfigFaults> {
        let report = FaultReport::new(self.missing_secrets);
        let read = self.read::<file::MainConfig>(main, ConfigFileKind::Config, &report);
        let files = read
            .map(|(source, written)| self.read_contracts(&source.root(&report), written.contracts.as_deref(), &report));
        let all = files.and_then(|files| self.each_by_itself(&files, &report));
        finish(report, all, main).map(|(contracts, _)| contracts)
    }

    fn each_by_itself(&self, files: &[ContractFile], report: &FaultReport) -> Option<Vec<Contract>> {
        let context =
            ContractContext { upstreams: None, client_ca: None, listeners: None, callers: None, now: self.now };
        files.iter().map(|file| check::contract(&file.source.root(report), &file.written, &context)).collect()
    }
}

pub(super) fn is_contract(path: &Path) -> bool {
    !is_hidden(path) && ["yaml", "yml"].contains(&extension(path).as_str()) && path.is_file()
}

fn extension(path: &Path) -> String {
    path.extension().map(|it| it.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// Editors, version control and mounted volumes keep files of their own under names that begin with a dot.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Warns of an entry in the contracts' folder that is not read although its author may expect it.
pub(super) fn warn_of_unread_file(at: &Cursor<'_>, path: &Path) {
    let shown = path.display();
    let readme = ["md", "txt"].contains(&extension(path).as_str()) || path.file_stem().is_some_and(|it| it == "README");
    if is_hidden(path) || readme {
        return;
    }
    if path.is_dir() {
        let holds =
            std::fs::read_dir(path).is_ok_and(|mut inner| inner.any(|it| it.is_ok_and(|it| !is_hidden(&it.path()))));
        if holds {
            at.warning(
                format!("{shown} is a folder in the folder, and is not read"),
                "move its contracts up, or remove it",
            );
        }
    } else {
        at.warning(
            format!("{shown} is not read: a contract's file ends in .yaml or .yml"),
            "rename it, or move it elsewhere",
        );
    }
}

/// The digest of each contract's file, by the vendor's id: gateways of a fleet compare theirs.
pub(super) fn digests(files: &[ContractFile]) -> BTreeMap<String, String> {
    let digest = |file: &ContractFile| {
        let sum = blake3::hash(file.source.text().as_bytes());
        Some((file.written.vendor.clone()?, hex(&sum.as_bytes()[..8])))
    };
    files.iter().filter_map(digest).collect()
}

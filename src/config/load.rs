//! Reads a configuration from its files. The rest of this room only checks whether files exist and what they hold.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::check::{self, ContractContext};
use super::contract::Contract;
use super::environment::{Environment, interpolate_tree, report_unset};
use super::fault::{ConfigFaults, FaultSeverity};
use super::file;
use super::load_contracts::{digests, is_contract, warn_of_unread_file};
use super::residency::ResidencyPolicy;
use super::schema::{ConfigFileKind, schema};
use super::settings::{
    ClientCertificateSettings, EgressSettings, GatewaySettings, ListenerSettings, ListenersSettings, Operator,
};
use super::source::{Cursor, FaultReport, SourceFile};
use super::tree::{self, SourcePosition, YamlNode, YamlValue};
use super::undeclared;
use super::validate::validate;
use crate::bounds::{CONFIG_FILE_BYTES_MAX, CONTRACTS_MAX};
use crate::model::{UnixTime, debug_fields};

/// Reads configurations; its fields say how.
#[derive(Clone, Copy)]
pub struct ConfigLoader<'a> {
    /// Gives the values of `${NAME}`.
    pub environment: Environment<'a>,
    /// How severe a missing key or certificate is: a fault where the gateway starts, a warning where a config is only
    /// checked.
    pub missing_secrets: FaultSeverity,
    /// The time by which to tell whether a contract has ended.
    pub now: UnixTime,
}

/// A configuration without faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedConfig {
    /// The checked settings.
    pub config: GatewaySettings,
    /// What may be wrong, but does not keep the gateway from starting.
    pub warnings: ConfigFaults,
}

/// A contract as it was read, with its file for faults to refer to.
pub(super) struct ContractFile {
    pub(super) source: SourceFile,
    pub(super) written: file::contract::ContractConfig,
}

impl ConfigLoader<'_> {
    /// Reads the main file and all that it names.
    ///
    /// # Errors
    /// Every fault of every file at once, and the warnings among them.
    pub fn load(&self, main: &Path) -> Result<LoadedConfig, ConfigFaults> {
        self.load_with_files(main).0
    }

    /// As [`Self::load`]; also the files and folders that the config consists of, those that are missing too.
    pub fn load_with_files(&self, main: &Path) -> (Result<LoadedConfig, ConfigFaults>, BTreeSet<PathBuf>) {
        let report = FaultReport::new(self.missing_secrets);
        let config = self.read_main(main, &report);
        let files = report.files();
        (finish(report, config, main).map(|(config, warnings)| LoadedConfig { config, warnings }), files)
    }

    /// Reads one contract by itself. The upstreams that it names are not checked, since the main file is not read.
    ///
    /// # Errors
    /// Every fault of the file at once.
    pub fn load_contract(&self, path: &Path) -> Result<Contract, ConfigFaults> {
        let report = FaultReport::new(self.missing_secrets);
        let contract = self.read_contract(path, &report).and_then(|file| {
            let context =
                ContractContext { upstreams: None, client_ca: None, callers: None, listeners: None, now: self.now };
            check::contract(&file.source.root(&report), &file.written, &context)
        });
        finish(report, contract, path).map(|(contract, _)| contract)
    }

    /// Reads the operators' file by itself.
    ///
    /// # Errors
    /// Every fault of the file at once.
    pub fn load_operators(&self, path: &Path) -> Result<Vec<Operator>, ConfigFaults> {
        let report = FaultReport::new(self.missing_secrets);
        let read = self.read::<file::OperatorsConfig>(path, ConfigFileKind::Operators, &report);
        let operators = read.map(|(source, written)| check::operators(&source.root(&report), &written));
        finish(report, operators, path).map(|(operators, _)| operators)
    }

    /// The path of the operators' file that the main file names. The file need not exist yet.
    ///
    /// # Errors
    /// The faults of the main file's shape, or that it names none.
    pub fn operators_file(&self, main: &Path) -> Result<PathBuf, ConfigFaults> {
        let report = FaultReport::new(self.missing_secrets);
        let named =
            self.read::<file::MainConfig>(main, ConfigFileKind::Config, &report).and_then(|(source, written)| {
                let at = source.root(&report).key("listeners").key("admin").key("operators");
                let named = written.listeners?.admin.and_then(|admin| admin.operators);
                if named.is_none() {
                    at.fault("is missing: no file of operators is named", "write operators: operators.yaml");
                }
                named.map(|text| at.file_path(&text))
            });
        finish(report, named, main).map(|(path, _)| path)
    }

    /// The files of the contracts that a main file names; none where it cannot be read, without a report.
    pub(super) fn contract_files(&self, main: &Path) -> Vec<PathBuf> {
        let report = FaultReport::new(self.missing_secrets);
        let Some((source, written)) = self.read::<file::MainConfig>(main, ConfigFileKind::Config, &report) else {
            return Vec::new();
        };
        let Some(text) = written.contracts else { return Vec::new() };
        let mut paths = contract_paths(&source.root(&report).key("contracts"), &text);
        paths.truncate(CONTRACTS_MAX);
        paths
    }

    /// The trees of those contracts that a main file names and whose text may be this vendor's. A file that cannot be
    /// read is left out, without a report.
    pub(super) fn contract_trees(&self, main: &Path, vendor: &str) -> impl Iterator<Item = (String, YamlNode)> {
        let tree = move |path: PathBuf| {
            let text = self.contract_text(&path)?;
            // Of a large folder few files need to be parsed. An id may also come from the environment.
            if !text.contains(vendor) && !text.contains("${") {
                return None;
            }
            let mut root = tree::parse(&text).ok()?;
            interpolate_tree(&mut root, self.environment);
            Some((path.display().to_string(), root))
        };
        self.contract_files(main).into_iter().filter_map(tree)
    }

    fn read_main(&self, path: &Path, report: &FaultReport) -> Option<GatewaySettings> {
        let (source, written) = self.read::<file::MainConfig>(path, ConfigFileKind::Config, report)?;
        let at = source.root(report);
        let listeners = check::listeners(&at.key("listeners"), written.listeners.as_ref());
        let egress = check::egress(&at, &written, listeners.egress.as_ref(), self.now);
        let upstreams = check::upstreams(&at.key("upstreams"), written.upstreams.as_ref());
        let keys = check::keys(&at.key("keys"), written.keys.as_ref());
        let client_ca = listeners.ingress.as_ref().and_then(client_authorities);
        let files = self.read_contracts(&at, written.contracts.as_deref(), report);
        let context = ContractContext {
            upstreams: Some(&upstreams),
            client_ca,
            callers: Some(&egress.callers),
            listeners: Some([listeners.ingress.is_some(), listeners.egress.is_some()]),
            now: self.now,
        };
        let residency = self.read_residency(&at, written.residency.as_deref(), report);
        let from = (&listeners, &egress, &context);
        let contracts = contracts(&files, &at, from, keys.master.is_some(), residency.as_ref());
        let contract_digests = digests(&files);
        let operators = self.read_operators(&at, written.listeners.as_ref(), report);
        check_operators(&at, &listeners, operators.as_deref());
        let state = check::state(&at.key("state"), written.state.as_ref());
        Some(GatewaySettings {
            audit: check::audit(&at.key("audit"), written.audit.as_ref(), &state),
            hooks: check::hooks(&at.key("hooks"), written.hooks.as_deref().unwrap_or_default()),
            state,
            fleet: written.fleet.as_ref().and_then(|fleet| check::fleet(&at.key("fleet"), fleet)),
            drain: check::drain(&at.key("drain"), written.drain.as_ref()),
            log: check::log(written.log.as_ref()),
            watch: written.watch.unwrap_or_default(),
            upstreams: upstreams.into_values().collect(),
            listeners,
            egress,
            keys,
            contracts,
            contract_digests,
            operators: operators.unwrap_or_default(),
        })
    }

    /// The operators that the main file names: an empty list when it names no file, `None` when the file cannot be
    /// read.
    fn read_operators(
        &self,
        at: &Cursor<'_>,
        listeners: Option<&file::ListenersConfig>,
        report: &FaultReport,
    ) -> Option<Vec<Operator>> {
        let admin = listeners.and_then(|listeners| listeners.admin.as_ref());
        let Some(text) = admin.and_then(|admin| admin.operators.as_deref()) else { return Some(Vec::new()) };
        let at = at.key("listeners").key("admin").key("operators");
        let path = at.file_path(text);
        report.looked_at(&path);
        if !path.is_file() {
            let instead = "make it with `vendorgate operators add NAME --role operator`";
            at.fault(format!("no such file: {}", path.display()), instead);
            return None;
        }
        let (source, written) = self.read::<file::OperatorsConfig>(&path, ConfigFileKind::Operators, report)?;
        Some(check::operators(&source.root(report), &written))
    }

    pub(super) fn read_contracts(
        &self,
        at: &Cursor<'_>,
        text: Option<&str>,
        report: &FaultReport,
    ) -> Vec<ContractFile> {
        let Some(text) = text else { return Vec::new() };
        let at = at.key("contracts");
        let paths = contract_paths(&at, text);
        if paths.len() > CONTRACTS_MAX {
            at.fault(format!("holds more than {CONTRACTS_MAX} files"), "split them over several gateways");
        }
        paths.iter().take(CONTRACTS_MAX).filter_map(|path| self.read_contract(path, report)).collect()
    }

    pub(super) fn read_contract(&self, path: &Path, report: &FaultReport) -> Option<ContractFile> {
        let (source, written) = self.read(path, ConfigFileKind::Contract, report)?;
        Some(ContractFile { source, written })
    }

    /// Reads one file. Values of the wrong type are left out; `None` when the file cannot be read at all. Both are
    /// reported.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        path: &Path,
        document: ConfigFileKind,
        report: &FaultReport,
    ) -> Option<(SourceFile, T)> {
        let instead = if document == ConfigFileKind::Config { "name the file with --config FILE" } else { "" };
        let text = text_of(path, report, instead)?;
        let mut root = match tree::parse(&text) {
            Ok(root) => root,
            Err(unreadable) => {
                let line = line_at(&text, unreadable.position);
                // By mistake, a line of the operators' file may hold a token.
                let shown = if document == ConfigFileKind::Operators { "" } else { line };
                report.unreadable(path, unreadable, hint(line), shown);
                return None;
            }
        };
        if root.value == YamlValue::Null {
            report.file_fault(path, "is empty", "see `vendorgate schema` for what it can hold");
            return None;
        }
        interpolate_tree(&mut root, self.environment);
        let source = SourceFile::new(path, text, root);
        let at = source.root(report);
        report_unset(&at, self.environment);
        let shaped = validate(&at, &schema(document));
        match serde_json::from_value(shaped) {
            Ok(written) => Some((source, written)),
            Err(error) => {
                report.file_fault(path, format!("cannot be read: {error}"), "");
                None
            }
        }
    }
}

debug_fields!(ConfigLoader<'_>: missing_secrets);

/// Advice for the one mistake that the YAML parser's message does not explain.
fn hint(line: &str) -> &'static str {
    let unquoted = line.contains("${") && line.trim_start().contains([':', '[']);
    if unquoted { "inside { } and [ ] write \"${NAME}\" in quotes" } else { "" }
}

fn line_at(text: &str, place: SourcePosition) -> &str {
    let line = usize::try_from(place.line).ok().and_then(|line| text.lines().nth(line.saturating_sub(1)));
    line.unwrap_or_default()
}

/// Returns the value only when nothing was reported that keeps the gateway from starting.
pub(super) fn finish<T>(report: FaultReport, made: Option<T>, path: &Path) -> Result<(T, ConfigFaults), ConfigFaults> {
    if made.is_none() && report.fatal_count() == 0 {
        report.file_fault(path, "cannot be used", "report this: a fault was found and not named");
    }
    let faults = ConfigFaults::new(report.into_faults());
    match made {
        Some(made) if !faults.any_fatal() => Ok((made, faults)),
        Some(_) | None => Err(faults),
    }
}

fn contracts(
    files: &[ContractFile],
    at: &Cursor<'_>,
    (listeners, egress, context): (&ListenersSettings, &EgressSettings, &ContractContext<'_>),
    has_master_key: bool,
    residency: Option<&(SourceFile, ResidencyPolicy)>,
) -> Vec<std::sync::Arc<Contract>> {
    let mut placed: Vec<(Cursor<'_>, Contract)> = Vec::new();
    for file in files {
        let at = file.source.root(at.report());
        let faults = at.report().fatal_count();
        if let Some(mut contract) = check::contract(&at, &file.written, context) {
            // What is proven of a contract with faults would be about other rules than are written.
            if let Some((_, policy)) = residency.filter(|_| at.report().fatal_count() == faults) {
                check::prove_residency(&at, &mut contract, policy, context.now);
            }
            placed.push((at, contract));
        }
    }
    if let Some((source, policy)) = residency {
        check::check_named(&source.root(at.report()), policy, &placed);
    }
    check::check_own_addresses(at, listeners, context.upstreams, &placed);
    if listeners.egress.is_some() {
        check::check_hosts(&placed);
        check::check_interception(&placed, egress);
    }
    check::check_vendors(&placed, has_master_key);
    check::check_retries(&at.key("upstreams"), context.upstreams, &placed);
    let undeclared = egress.undeclared.as_ref().and_then(undeclared::contract);
    let all = placed.into_iter().map(|(_, contract)| contract).chain(undeclared);
    let mut contracts: Vec<_> = all.map(std::sync::Arc::new).collect();
    contracts.sort_by(|left, right| left.vendor.cmp(&right.vendor));
    contracts
}

/// The number of authorities whose client certificates a listener accepts; `None` where their file cannot be read.
fn client_authorities(listener: &ListenerSettings) -> Option<usize> {
    match listener.tls.as_ref().map(|tls| &tls.client) {
        None | Some(ClientCertificateSettings::None) => Some(0),
        Some(ClientCertificateSettings::Optional { ca } | ClientCertificateSettings::Required { ca }) => {
            check::count_authorities(ca)
        }
    }
}

/// Warns of an admin listener without operators: the kill switch could then not be used over the network.
fn check_operators(at: &Cursor<'_>, listeners: &ListenersSettings, operators: Option<&[Operator]>) {
    if listeners.admin.is_some() && operators.is_some_and(<[_]>::is_empty) {
        let wrong = "names no operator: only probes, metrics and the Unix socket will work";
        at.key("listeners").key("admin").warning(wrong, "run `vendorgate operators add NAME --role operator`");
    }
}

pub(super) fn text_of(path: &Path, report: &FaultReport, instead: &str) -> Option<String> {
    report.looked_at(path);
    let found = std::fs::metadata(path);
    if found.as_ref().is_ok_and(|found| found.len() > CONFIG_FILE_BYTES_MAX) {
        report.file_fault(path, format!("is larger than {CONFIG_FILE_BYTES_MAX} bytes"), "split it");
        return None;
    }
    let instead = if found.is_ok() { "" } else { instead };
    let unreadable = |error| report.file_fault(path, format!("cannot be read: {error}"), instead);
    found.and_then(|_| std::fs::read_to_string(path)).map_err(unreadable).ok()
}

/// The contract files of a folder in the order of their names, or the one file that is named.
fn contract_paths(at: &Cursor<'_>, text: &str) -> Vec<PathBuf> {
    let path = at.file_path(text);
    at.report().looked_at(&path);
    if path.is_file() {
        return vec![path];
    }
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) => {
            let wrong = format!("cannot read {}: {error}", path.display());
            at.fault(wrong, "write the folder of the contracts, or one file");
            return Vec::new();
        }
    };
    let mut entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    let (paths, others): (Vec<PathBuf>, Vec<PathBuf>) = entries.into_iter().partition(|path| is_contract(path));
    others.iter().for_each(|path| warn_of_unread_file(at, path));
    if paths.is_empty() {
        at.warning(
            format!("{} holds no contract: every call will be refused", path.display()),
            "add one file per vendor, NAME.yaml",
        );
    }
    paths
}

//! `vendorgate operators add`: a new token for a person or a machine.
//!
//! The token is shown once and stored nowhere: the file holds its SHA-256. The file is replaced as a whole or not at
//! all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sha2::{Digest, Sha256};

use super::error::{CliError, Exit};
use super::{ConfigFile, loader};
use crate::admin::mint;
use crate::config::{FaultSeverity, Operator, OperatorRole};

/// Manage who may use the admin listener
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vendorgate operators add alice --role operator")]
pub(super) struct OperatorsArgs {
    #[command(subcommand)]
    action: OperatorsAction,
}

#[derive(Debug, Subcommand)]
enum OperatorsAction {
    Add(OperatorsAddArgs),
}

/// Add an operator: print a new token once, and write its hash to the operators' file
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate operators add alice --role operator\n  vendorgate operators add grafana --role viewer --file config/operators.yaml"
)]
struct OperatorsAddArgs {
    /// The name that the audit trail shows
    name: String,
    /// viewer can read; operator can also kill; admin can also restore; privacy can reveal
    #[arg(long, value_parser = role, value_name = "viewer|operator|admin|privacy")]
    role: OperatorRole,
    #[command(flatten)]
    config: ConfigFile,
    /// The operators' file, instead of the one that the main file names
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Why an operator cannot be added.
#[derive(Debug, thiserror::Error)]
pub(super) enum OperatorsError {
    /// The config's own check would refuse the name.
    #[error("the name of an operator must be 1 to 64 of letters, digits, '-', '_', '.' and '@'")]
    Name,
    /// There is an operator of that name.
    #[error("{0} is an operator already")]
    Taken(String),
    /// The file is not written as one line for each operator, so a new line would change its meaning.
    #[error("{path} is not written as one line an operator; add this line yourself: {line}", path = .path.display())]
    UnknownLayout {
        /// The file.
        path: PathBuf,
        /// The line that the user can add.
        line: String,
    },
    /// The system has no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The file cannot be read or written.
    #[error("cannot change {path}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the cause was.
        source: io::Error,
    },
}

impl OperatorsArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        match &self.action {
            OperatorsAction::Add(add) => add.run(out),
        }
    }
}

impl OperatorsAddArgs {
    fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let loader = loader(FaultSeverity::Warning);
        let file = match &self.file {
            Some(file) => file.clone(),
            None => loader.operators_file(&self.config.path).map_err(CliError::Config)?,
        };
        if !Operator::is_name(&self.name) {
            return Err(OperatorsError::Name.into());
        }
        let before = if file.exists() { loader.load_operators(&file).map_err(CliError::Config)? } else { Vec::new() };
        if before.iter().any(|operator| operator.name == self.name) {
            return Err(OperatorsError::Taken(self.name.clone()).into());
        }
        let (token, hash) = mint().map_err(|_| OperatorsError::Random)?;
        let operator = Operator {
            name: self.name.clone(),
            role: self.role,
            token_sha256: Sha256::digest(token.expose().as_bytes()).into(),
        };
        let added = before.into_iter().chain([operator.clone()]).collect::<Vec<_>>();
        let as_meant = |candidate: &Path| loader.load_operators(candidate).is_ok_and(|read| read == added);
        append(&file, &line_of(&operator, &hash), as_meant)?;
        writeln!(out, "{}", token.expose())?;
        eprintln!("This is {}'s token ({}). It is kept nowhere: hand it over now.", self.name, self.role.as_str());
        eprintln!("Its hash was added to {}; reload the gateway to use it.", file.display());
        Ok(Exit::Yes)
    }
}

fn role(text: &str) -> Result<OperatorRole, String> {
    OperatorRole::parse(text)
        .ok_or_else(|| format!("must be one of {}", OperatorRole::ALL.map(OperatorRole::as_str).join(", ")))
}

fn line_of(operator: &Operator, hash: &str) -> String {
    format!("- {{ name: {:?}, role: {}, token_sha256: \"{hash}\" }}", operator.name, operator.role.as_str())
}

/// Adds a line to the list at the end of the file. A copy with the line is checked first, and then takes the file's
/// place.
fn append(file: &Path, line: &str, as_meant: impl Fn(&Path) -> bool) -> Result<(), OperatorsError> {
    let failed = |source| OperatorsError::File { path: file.to_path_buf(), source };
    let before = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => "operators:\n".to_owned(),
        Err(error) => return Err(failed(error)),
    };
    let candidate = file.with_extension("yaml.new");
    write_like(&candidate, file, &with_line(&before, line)).map_err(failed)?;
    if !as_meant(&candidate) {
        fs::remove_file(&candidate).map_err(failed)?;
        return Err(OperatorsError::UnknownLayout { path: file.to_path_buf(), line: line.to_owned() });
    }
    fs::rename(&candidate, file).map_err(failed)
}

fn with_line(before: &str, line: &str) -> String {
    let is_item = |line: &&str| line.trim_start().starts_with("- ");
    let indent = before.lines().rfind(is_item).map_or("  ", |item| &item[..item.len() - item.trim_start().len()]);
    let end = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    format!("{before}{end}{indent}{line}\n")
}

/// Writes a new file with the permissions of the file that it is to replace.
fn write_like(path: &Path, model: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    if let Ok(found) = fs::metadata(model) {
        file.set_permissions(found.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(file: &Path, name: &str, role: OperatorRole) -> Result<String, CliError> {
        let config = ConfigFile { path: "unused".into() };
        let add = OperatorsAddArgs { name: name.to_owned(), role, config, file: Some(file.to_path_buf()) };
        let mut out = Vec::new();
        add.run(&mut out)?;
        Ok(String::from_utf8(out).expect("text").trim().to_owned())
    }

    #[test]
    fn an_added_operator_is_read_back_by_the_hash_of_its_token() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("operators.yaml");
        let tokens = [add(&file, "alice", OperatorRole::Operator), add(&file, "bob@example.com", OperatorRole::Admin)]
            .map(|it| it.expect("added"));
        let read = loader(FaultSeverity::Fault).load_operators(&file).expect("good");
        let names: Vec<_> = read.iter().map(|operator| (operator.name.as_str(), operator.role)).collect();
        assert_eq!(names, [("alice", OperatorRole::Operator), ("bob@example.com", OperatorRole::Admin)]);
        for (token, operator) in tokens.iter().zip(&read) {
            assert_eq!(<[u8; 32]>::from(Sha256::digest(token.as_bytes())), operator.token_sha256);
            assert!(!fs::read_to_string(&file).expect("file").contains(token.as_str()));
        }
        assert_ne!(tokens[0], tokens[1]);
    }

    #[test]
    fn a_file_that_would_change_its_meaning_is_left_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("operators.yaml");
        let text = "operators: []\n";
        fs::write(&file, text).expect("written");
        assert!(matches!(
            add(&file, "alice", OperatorRole::Viewer),
            Err(CliError::Operators(OperatorsError::UnknownLayout { .. }))
        ));
        assert_eq!(fs::read_to_string(&file).expect("file"), text);
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1);
    }

    #[test]
    fn an_operators_name_is_checked_and_unique() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("operators.yaml");
        assert!(matches!(add(&file, "a b", OperatorRole::Viewer), Err(CliError::Operators(OperatorsError::Name))));
        add(&file, "alice", OperatorRole::Viewer).expect("added");
        assert!(matches!(add(&file, "alice", OperatorRole::Admin), Err(CliError::Operators(OperatorsError::Taken(_)))));
    }

    #[test]
    fn a_line_is_added_in_the_form_of_the_others() {
        assert_eq!(with_line("operators:\n- a\n", "- b"), "operators:\n- a\n- b\n");
        assert_eq!(with_line("operators:\n    - a", "- b"), "operators:\n    - a\n    - b\n");
    }
}

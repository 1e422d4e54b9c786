//! Checks where a secret is: a file, an environment variable, a systemd credential, or Vault.

use std::path::{Path, PathBuf};

use super::{files, values};
use crate::bounds::{CREDENTIAL_DEADLINE, SECRET_AGE_MAX, VAULT_REFRESH};
use crate::config::file::credentials as written;
use crate::config::source::Cursor;
use crate::credentials::{SecretSettings, SecretSource, VaultLogin, VaultSettings};
use crate::http::Url;
use crate::identity::{WebhookSecretEncoding, inspect_secret};

/// The folder that systemd makes for the credentials of a service.
const SYSTEMD_FOLDER: &str = "CREDENTIALS_DIRECTORY";

/// Looks at the content of a secret: a warning, or what is wrong with it.
type SecretJudge<'a> = &'a dyn Fn(&[u8]) -> Result<Option<String>, String>;

/// A secret that is a text or bytes.
pub(super) fn secret(at: &Cursor<'_>, written: &written::SecretConfig) -> Option<SecretSettings> {
    let encoding = written.encoding.unwrap_or(WebhookSecretEncoding::Raw);
    // A short secret is the vendor's choice, so it is no reason to warn.
    secret_of(at, written, &|content| inspect_secret(content, encoding).map(|_| None))
}

/// A secret whose content is checked by `judge`, where it can be read.
pub(super) fn secret_of(
    at: &Cursor<'_>,
    written: &written::SecretConfig,
    judge: SecretJudge<'_>,
) -> Option<SecretSettings> {
    let there = [written.file.is_some(), written.env.is_some(), written.systemd.is_some(), written.vault.is_some()];
    if there.into_iter().filter(|is_there| *is_there).count() != 1 {
        at.fault("must have exactly one of file, env, systemd and vault", "write { file: secrets/acme }");
        return None;
    }
    let put = |path: &Path| format!("put the secret that the vendor gave into {}", path.display());
    let source = if let Some(text) = &written.file {
        let at = at.key("file");
        let path = files::secret(&at, text, files::AllowedReaders::Group, put);
        files::secret_content(&at, &path, judge);
        SecretSource::File(path)
    } else if let Some(name) = &written.env {
        variable(&at.key("env"), name, judge);
        SecretSource::Environment(name.clone())
    } else if let Some(name) = &written.systemd {
        SecretSource::Systemd(systemd(&at.key("systemd"), name, judge)?)
    } else {
        SecretSource::Vault(Box::new(vault(&at.key("vault"), written.vault.as_ref()?)?))
    };
    let max_age = values::duration(&at.key("max_age"), written.max_age.as_ref(), SECRET_AGE_MAX);
    Some(SecretSettings { source, encoding: written.encoding.unwrap_or(WebhookSecretEncoding::Raw), max_age })
}

/// Faults show the variable's name, never its value.
fn variable(at: &Cursor<'_>, name: &str, judge: SecretJudge<'_>) {
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        at.fault_without_line("must be the name of an environment variable", "write env: ACME_CLIENT_SECRET");
        return;
    }
    match std::env::var(name) {
        Ok(value) => {
            if let Err(wrong) = judge(value.as_bytes()) {
                at.fault(format!("the environment variable {name}: {wrong}"), "put the secret there");
            }
        }
        Err(_) => at.missing_secret(format!("the environment variable {name} is not set"), "put the secret there"),
    }
}

fn systemd(at: &Cursor<'_>, name: &str, judge: SecretJudge<'_>) -> Option<PathBuf> {
    let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
    if !is_name {
        at.invalid("must be the name of a credential, as in LoadCredential=", "acme-client");
        return None;
    }
    let Some(folder) = std::env::var_os(SYSTEMD_FOLDER) else {
        let instead = format!("write LoadCredential={name}:/path in the service's unit");
        at.missing_secret(format!("{SYSTEMD_FOLDER} is not set: systemd has given no credentials"), instead);
        return Some(Path::new("/run/credentials").join(name));
    };
    let path = PathBuf::from(folder).join(name);
    match std::fs::metadata(&path) {
        Ok(_) => files::secret_content(at, &path, judge),
        Err(error) => at.missing_secret(
            format!("cannot read {}: {error}", path.display()),
            format!("write LoadCredential={name}:/path in the service's unit"),
        ),
    }
    Some(path)
}

fn vault(at: &Cursor<'_>, written: &written::VaultConfig) -> Option<VaultSettings> {
    let address = protected_url(&at.key("address"), written.address.as_deref()?, "https://vault.internal:8200");
    let segments = |name: &str, text: &str, example: &str| {
        let good = |segment: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(plain)
        };
        if !text.split('/').all(good) {
            at.key(name).invalid("must be names joined by '/', without one at its ends", example);
        }
        text.to_owned()
    };
    let mount = segments("mount", written.mount.as_deref().unwrap_or("secret"), "secret");
    let path = segments("path", written.path.as_deref()?, "vendors/acme");
    if path.starts_with("data/") {
        at.key("path").warning("begins with data/, which the gateway adds itself", "leave it out");
    }
    let login = login(at, written);
    let refresh = values::duration(&at.key("refresh"), written.refresh.as_ref(), SECRET_AGE_MAX);
    let refresh = refresh.unwrap_or(VAULT_REFRESH);
    if refresh < CREDENTIAL_DEADLINE {
        at.key("refresh").invalid("must be at least 5s: Vault is not to be flooded", "60s");
    }
    Some(VaultSettings {
        address: address?,
        mount,
        path,
        key: written.key.clone()?,
        namespace: written.namespace.clone(),
        login: login?,
        ca_file: written.ca.as_ref().map(|text| files::authorities(&at.key("ca"), text)),
        refresh,
    })
}

fn login(at: &Cursor<'_>, written: &written::VaultConfig) -> Option<VaultLogin> {
    let file = |at: &Cursor<'_>, text: &str| {
        files::secret(at, text, files::AllowedReaders::Group, |path| format!("put it into {}", path.display()))
    };
    match (&written.token_file, &written.approle) {
        (Some(text), None) => Some(VaultLogin::TokenFile(file(&at.key("token_file"), text))),
        (None, Some(role)) => {
            let at = at.key("approle");
            Some(VaultLogin::AppRole {
                role_id: role.role_id.clone()?,
                secret_id_file: file(&at.key("secret_id_file"), role.secret_id_file.as_deref()?),
                mount: role.mount.clone().unwrap_or_else(|| "approle".to_owned()),
            })
        }
        (None, None) | (Some(_), Some(_)) => {
            at.fault("must have exactly one of token_file and approle", "write token_file: /run/vault/token");
            None
        }
    }
}

/// A URL that secrets are sent to.
pub(super) fn protected_url(at: &Cursor<'_>, text: &str, example: &str) -> Option<Url> {
    match Url::parse_protected(text, false) {
        Ok(url) => Some(url),
        Err(error) if text.contains('@') => {
            at.fault_without_line(error.to_string(), "take the user and the password out of the URL");
            None
        }
        Err(error) => {
            at.invalid(error.to_string(), example);
            None
        }
    }
}

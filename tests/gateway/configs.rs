//! What can be written in YAML, what cannot, and the faults that are printed.
//!
//! A file in `tests/configs/bad` ends with the faults that it must give, as comments. With `VENDORGATE_BLESS=1` the
//! test writes what it gets, to be read before it is committed.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use vendorgate::internals::config::{ConfigFaults, ConfigLoader, Contract, FaultSeverity, LoadedConfig};
use vendorgate::internals::identity::IdentitySettings;
use vendorgate::internals::model::{Direction, UnixTime, VendorId};

const EXPECTED: &str = "# => ";

fn loader() -> ConfigLoader<'static> {
    let environment = &|name: &str| (name == "MANY").then(|| "many-as-a-secret".to_owned());
    ConfigLoader { environment, missing_secrets: FaultSeverity::Warning, now: UnixTime::from_secs(1_795_000_000) }
}

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect(folder).map(|entry| entry.expect("entry").path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|it| it == "yaml")).collect();
    files.sort();
    files
}

/// What is printed about a file, one line for each fault.
fn faults_of(path: &Path) -> Vec<String> {
    let name = path.file_name().expect("a file").to_string_lossy().into_owned();
    let kind = name.split(['-', '.']).next().unwrap_or_default();
    let faults = match kind {
        "contract" => loader().load_contract(path).err(),
        "operators" => loader().load_operators(path).err(),
        _ => loader().load(path).map(|loaded| loaded.warnings).map_or_else(Some, Some),
    };
    let said = faults.unwrap_or_default();
    said.as_slice().iter().map(|fault| fault.to_string().replace("tests/configs/", "")).collect()
}

#[test]
fn every_bad_file_gives_exactly_its_faults() {
    let files = yaml_files("tests/configs/bad");
    assert!(files.len() >= 40, "{} files", files.len());
    for path in files {
        let text = fs::read_to_string(&path).expect("text");
        let found = faults_of(&path);
        if std::env::var_os("VENDORGATE_BLESS").is_some() {
            let written = text.lines().filter(|line| !line.starts_with(EXPECTED)).map(str::to_owned);
            let blessed: Vec<String> = written.chain(found.iter().map(|fault| format!("{EXPECTED}{fault}"))).collect();
            fs::write(&path, blessed.join("\n") + "\n").expect("written");
            continue;
        }
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(EXPECTED)).collect();
        assert!(!expected.is_empty(), "{} expects nothing", path.display());
        assert_eq!(found, expected, "{}", path.display());
    }
}

#[test]
fn no_fault_prints_a_secret() {
    for path in yaml_files("tests/configs/bad") {
        let faults = match loader().load(&path) {
            Ok(loaded) => loaded.warnings,
            Err(faults) => faults,
        };
        let said = format!("{}{}{}{faults:?}", faults.with_snippets(), faults.to_json(), faults_of(&path).join("\n"));
        for secret in ["pa55word", "many-as-a-secret", "thisisthetokenitself"] {
            assert!(!said.contains(secret), "{}: {said}", path.display());
        }
    }
}

#[test]
fn every_shipped_config_is_good() {
    for name in ["minimal", "vendorgate", "full"] {
        let loaded = load(&format!("config/{name}.yaml")).unwrap_or_else(|faults| panic!("{faults}"));
        let faults = loaded.warnings.as_slice();
        assert_eq!(
            faults.iter().filter(|fault| fault.wrong.starts_with("cannot read config/")).count(),
            loaded.warnings.as_slice().len(),
            "{name}"
        );
        assert_eq!(loaded.warnings.as_slice().is_empty(), name == "minimal", "{name}");
    }
    assert_eq!(yaml_files("config/contracts").len(), 4);
    for path in yaml_files("config/contracts") {
        contract(&path);
    }
}

#[test]
fn every_documented_key_loads() {
    let loaded = load("tests/configs/promised/config/vendorgate.yaml").unwrap_or_else(|faults| panic!("{faults}"));
    let faults = loaded.warnings.as_slice().iter().filter(|fault| fault.severity == FaultSeverity::Fault);
    assert_eq!(faults.count(), 0);
}

#[test]
fn missing_secrets_keep_the_gateway_from_running() {
    let strict = ConfigLoader { missing_secrets: FaultSeverity::Fault, ..loader() };
    let faults = strict.load(Path::new("config/vendorgate.yaml")).expect_err("no keys are shipped");
    let paths: Vec<_> = faults.as_slice().iter().map(|fault| fault.path.as_str()).collect();
    let tls = ["cert", "key", "client_ca"].map(|name| format!("listeners.ingress.tls.{name}"));
    assert_eq!(paths, ["identity.webhook.secret_file", &tls[0], &tls[1], &tls[2], "keys.master"]);
}

/// The content of a secret's file is checked, and nothing of it is printed.
#[cfg(unix)]
#[test]
fn the_content_of_a_webhooks_secret_is_checked_before_use() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("folder");
    let (path, secret) = (folder.path().join("acme.yaml"), folder.path().join("secret"));
    let main = folder.path().join("main.yaml");
    let listeners = "listeners: { ingress: { bind: \"127.0.0.1:0\" } }\nstate: { path: state }\n";
    let upstreams = "upstreams: { crm: { url: \"http://127.0.0.1:9000\" } }\ncontracts: acme.yaml\n";
    fs::write(&main, format!("{listeners}{upstreams}")).expect("written");
    let head = "vendor: acme\nowner: a@example.com\nsecurity_contact: b@acme.example\nstarts: 2026-01-01\nends: 2027-03-31\n\
                scopes: [a:b]\ningress:\n  - { route: POST /v1/events, scopes: [], upstream: crm }\n";
    for (webhook, content, severity, said) in [
        ("preset: github", "a secret of thirty-two bytes, yes", None, ""),
        ("preset: github", "correcthorse", Some(FaultSeverity::Warning), "holds a secret of 12 bytes"),
        ("preset: github", "\n", Some(FaultSeverity::Fault), "the file holds no secret"),
        (
            "scheme: standard-webhooks",
            "correcthorsebatterystaple",
            Some(FaultSeverity::Fault),
            "does not start with whsec_",
        ),
        ("scheme: standard-webhooks", "whsec_correct!horse", Some(FaultSeverity::Fault), "not base64 after whsec_"),
        ("preset: svix", "whsec_Y29ycmVjdA==", Some(FaultSeverity::Warning), "holds a secret of 7 bytes"),
        ("preset: svix", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", None, ""),
        ("preset: stripe", "whsec_as Stripe shows it", None, ""),
        ("preset: stripe, secret_encoding: hex", "correcthorse", Some(FaultSeverity::Fault), "not hexadecimal"),
    ] {
        fs::write(&secret, content).expect("written");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("mode");
        fs::write(&path, format!("{head}identity: {{ webhook: {{ {webhook}, secret_file: secret }} }}\n"))
            .expect("written");
        let (faults, loads) = match loader().load(&main) {
            Ok(loaded) => (loaded.warnings, true),
            Err(faults) => (faults, false),
        };
        let found: Vec<_> =
            faults.as_slice().iter().filter(|fault| fault.path == "identity.webhook.secret_file").collect();
        assert_eq!(found.first().map(|fault| fault.severity), severity, "{webhook} {content}: {faults}");
        assert_eq!(loads, severity != Some(FaultSeverity::Fault), "{webhook} {content}");
        let text = faults.to_string();
        assert!(text.contains(said) && !text.contains("correct"), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_a_fault_everywhere() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("folder");
    let (main, key) = (folder.path().join("main.yaml"), folder.path().join("master.key"));
    let contract = fs::canonicalize("tests/configs/keyed").expect("contracts");
    let text = format!(
        "listeners: {{ ingress: {{ bind: \"127.0.0.1:0\" }} }}\nstate: {{ path: state }}\nkeys: {{ master: master.key }}\n\
         upstreams: {{ crm: {{ url: \"http://127.0.0.1:9000\" }} }}\ncontracts: {}\n",
        contract.display()
    );
    fs::write(&main, text).expect("written");
    vendorgate::pii::keys::generate_key_file(&key).expect("a key");
    // The file's group is one of the process's groups, as where an orchestrator mounts it.
    for (mode, good) in [(0o600, true), (0o400, true), (0o440, true), (0o640, true), (0o660, false), (0o644, false)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).expect("mode");
        assert_eq!(loader().load(&main).is_ok(), good, "{mode:o}");
    }
}

#[test]
fn values_come_from_the_environment() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("acme.yaml");
    let text = fs::read_to_string("tests/configs/good/acme.yaml").expect("text");
    let text = text.replace("vendor: acme", "vendor: ${NAME}") + "limits:\n  concurrency: ${COUNT}\nregion: $${NAME}\n";
    fs::write(&path, text).expect("written");
    let environment = &|name: &str| match name {
        "NAME" => Some("acme-2".to_owned()),
        "COUNT" => Some("7".to_owned()),
        _ => None,
    };
    let contract =
        ConfigLoader { environment, ..loader() }.load_contract(&path).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(contract.vendor.as_str(), "acme-2");
    assert_eq!(contract.limits.ingress.concurrency.map(u32::from), Some(7));
    assert_eq!(contract.region, "${NAME}");
}

#[test]
fn every_bound_has_a_finite_default() {
    let contract = contract(Path::new("tests/configs/good/acme.yaml"));
    for direction in Direction::ALL {
        let limits = contract.limits_in_force(direction);
        let shown: Vec<_> =
            limits.iter().map(|it| format!("{} {} {}", it.limit, it.value, it.source.as_str())).collect();
        let expected = [
            "requests 100/s, burst 100 default",
            "concurrency 100 default",
            "records 12000 in 1m, over: refuse default",
            "bytes 1GiB in 1m, over: refuse default",
            "rotation.max_lifetime 1d default",
        ];
        let own = if direction == Direction::Ingress { 5 } else { 4 };
        assert_eq!(shown, expected[..own], "{direction:?}");
    }
    let Some(IdentitySettings::Token(identity)) = contract.identity else { panic!("a token's identity") };
    assert!(identity.rotation.max_lifetime.is_some() && !identity.shape.accept_plain_jwt);
}

/// The places that document the defaults: each must have the product's figures.
#[test]
fn every_default_limit_is_in_docs_schema_and_example() {
    let contract = contract(Path::new("tests/configs/good/acme.yaml"));
    let schema =
        vendorgate::internals::config::schema(vendorgate::internals::config::ConfigFileKind::Contract).to_string();
    let [docs, full] = ["docs/configuration.md", "config/full.yaml"].map(|path| fs::read_to_string(path).expect(path));
    for limit in contract.limits_in_force(Direction::Ingress) {
        let figures: Vec<&str> = limit
            .value
            .split([',', ' '])
            .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()) || *word == "refuse")
            .collect();
        let key = limit.limit.rsplit('.').next().expect("a key");
        let row = |text: &str, key: &str| text.lines().find(|line| line.contains(key)).unwrap_or_default().to_owned();
        let (in_docs, in_full) = (row(&docs, &format!("{key}` | ")), row(&full, &format!(" {key}:")));
        for figure in figures {
            assert!(in_docs.contains(figure), "docs/configuration.md, {key}: {figure}");
            assert!(in_full.contains(figure), "config/full.yaml, {key}: {figure}");
            if figure != "refuse" {
                assert!(schema.contains(&format!("`{figure}`")) || schema.contains(figure), "schema, {key}: {figure}");
            }
        }
    }
}

#[test]
fn a_contract_is_read_as_written() {
    let loaded = load("config/vendorgate.yaml").expect("good");
    let vendor = VendorId::parse("acme-analytics").expect("id");
    let contract = loaded.config.contract(&vendor).expect("contract");
    assert_eq!(contract.starts.to_string(), "2026-01-01T00:00:00.000Z");
    assert_eq!(contract.ends.to_string(), "2027-04-01T00:00:00.000Z");
    let (_, route, captures) = contract.ingress.find(&http::Method::GET, "/v1/customers/42").expect("route");
    assert_eq!((route.pattern.as_str(), captures.range(0)), ("GET /v1/customers/{id}", Some(14..16)));
    assert_eq!(route.upstream.base.to_string(), "http://127.0.0.1:9000");
    let (_, bulk, _) = contract.ingress.find(&http::Method::GET, "/v1/customers").expect("route");
    assert_eq!(bulk.response.treat.len(), 5);
    assert_eq!(bulk.response.records.as_ref().map(ToString::to_string).as_deref(), Some("$.customers[*]"));
    let (_, event, _) = contract.egress.find(&http::Method::POST, "/v2/events").expect("route");
    assert_eq!((event.upstream.base.bare_host(), event.request.treat.len()), ("api.acme.example", 2));
}

#[test]
fn an_unchanged_config_is_equal_to_itself() {
    let (first, second) = (load("config/full.yaml").expect("good"), load("config/full.yaml").expect("good"));
    assert_eq!(first.config, second.config);
    assert_ne!(first.config, load("config/minimal.yaml").expect("good").config);
}

#[test]
fn every_yaml_of_the_docs_is_good() {
    let docs = fs::read_dir("docs").into_iter().flatten().map(|entry| entry.expect("entry").path());
    let pages = docs.chain(["README.md".into()]).filter(|path| path.extension().is_some_and(|it| it == "md"));
    for page in pages.filter(|page| page.exists()) {
        for block in yaml_blocks(&fs::read_to_string(&page).expect("text")) {
            check_block(&page, &block);
        }
    }
}

#[test]
fn a_yaml_block_is_found_in_a_page() {
    let page = "text\n```yaml\nvendor: a\n```\n```sh\nls\n```\n  ```yaml\n  owner: b\n  ```\n";
    assert_eq!(yaml_blocks(page), ["vendor: a\n", "  owner: b\n"]);
}

proptest! {
    /// Any text that an editor leaves behind gives an answer, and in time.
    #[test]
    fn no_text_makes_the_loader_panic(at in 0usize..4000, cut in 0usize..40, noise in "[\\PC\n ]{0,12}") {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("acme.yaml");
        let text = fs::read_to_string("config/contracts/acme-analytics.yaml").expect("text");
        let (start, end) = (floor(&text, at), floor(&text, at + cut));
        fs::write(&path, format!("{}{noise}{}", &text[..start], &text[end..])).expect("written");
        if let Err(faults) = loader().load_contract(&path) {
            prop_assert!(faults.as_slice().iter().all(|fault| fault.line > 0 && fault.column > 0));
            prop_assert!(!faults.to_string().contains("was found and not named"), "{faults}");
        }
    }
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn yaml_blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match (&mut open, line.trim()) {
            (None, "```yaml") => open = Some(String::new()),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), _) => block.extend([line, "\n"]),
            (None, _) => {}
        }
    }
    blocks
}

/// A whole file is loaded as one, beside copies of the shipped files that it may name. A fragment of a file is not
/// loaded.
fn check_block(page: &Path, block: &str) {
    let starts = |key: &str| block.lines().any(|line| line.starts_with(key));
    let folder = tempfile::tempdir().expect("a folder");
    for part in ["", "contracts", "keys"] {
        fs::create_dir_all(folder.path().join(part)).expect("a folder");
        let files = fs::read_dir(Path::new("config").join(part)).expect("a folder").map(|entry| entry.expect("entry"));
        for file in files.filter(|file| file.path().is_file()) {
            fs::copy(file.path(), folder.path().join(part).join(file.file_name())).expect("copied");
        }
    }
    let path = folder.path().join(if starts("vendor:") { "contracts" } else { "" }).join("block.yaml");
    fs::write(&path, block).expect("written");
    let faults = match (starts("vendor:"), starts("listeners:"), starts("operators:")) {
        (true, _, _) => loader().load_contract(&path).err(),
        (_, true, _) => loader().load(&path).err(),
        (_, _, true) => loader().load_operators(&path).err(),
        (false, false, false) => None,
    };
    assert_eq!(faults, None, "{}:\n{block}", page.display());
}

fn load(path: &str) -> Result<LoadedConfig, ConfigFaults> {
    loader().load(Path::new(path))
}

fn contract(path: &Path) -> Contract {
    loader().load_contract(path).unwrap_or_else(|faults| panic!("{faults}"))
}

//! The program from outside: what it prints, and the exit code that a script reads.

use std::process::{Command, Output};

fn vendorgate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
    command.args(arguments).env_remove("VENDORGATE_CONFIG").output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn check_exits_0_1_or_2() {
    for (arguments, code, said) in [
        (&["check", "--config", "config/minimal.yaml"][..], 0, "good: 1 contract, 4 routes"),
        (&["check", "--config", "config/vendorgate.yaml"], 0, "good: 4 contracts"),
        (&["check"], 0, "good: 4 contracts"),
        (&["check", "--config", "config/vendorgate.yaml", "--strict"], 1, "5 faults"),
        (&["check", "--config", "tests/configs/bad/main-bind.yaml"], 1, "2 faults"),
        (&["check", "--config", "tests/configs/bad/main-unreadable.yaml"], 1, "     2 |   ingress: { bind"),
        (&["check", "--config", "nowhere.yaml"], 1, "nowhere.yaml:1:1: cannot be read"),
        (&["check", "--colour"], 2, ""),
    ] {
        let output = vendorgate(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains(said), "{arguments:?}: {}", text(&output.stdout));
    }
}

#[test]
fn the_master_key_may_come_from_the_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let (main, contract) = (folder.path().join("main.yaml"), "tests/configs/good/acme.yaml");
    let contract = std::fs::canonicalize(contract).expect("a contract");
    let written = format!(
        "listeners: {{ ingress: {{ bind: \"127.0.0.1:8080\" }} }}\nstate: {{ path: state }}\n\
         upstreams: {{ crm: {{ url: \"http://127.0.0.1:9000\" }} }}\ncontracts: {}\nkeys: {{ master: env:VENDORGATE_TEST_KEY }}\n",
        contract.display()
    );
    std::fs::write(&main, written).expect("written");
    // As the shell's `$(cat master.key)` passes it.
    let key = folder.path().join("master.key");
    let generated = vendorgate(&["keys", "generate", "--out", key.to_str().expect("a path")]);
    assert!(generated.status.success(), "{}", text(&generated.stderr));
    let of_file = std::fs::read_to_string(&key).expect("text");
    let in_one_line = of_file.replace('\n', ";");
    for (value, said) in [
        (None, "keys.master: the environment variable VENDORGATE_TEST_KEY is not set"),
        (Some("c2VjcmV0"), "keys.master: VENDORGATE_TEST_KEY holds no usable key"),
        (Some("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="), "1 contract"),
        (Some(of_file.trim_end()), "1 contract"),
        (Some(&in_one_line), "1 contract"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
        command.args(["check", "--config"]).arg(&main).env_remove("VENDORGATE_TEST_KEY");
        let output = command.envs(value.map(|value| ("VENDORGATE_TEST_KEY", value))).output().expect("it starts");
        let told = text(&output.stdout) + &text(&output.stderr);
        assert!(told.contains(said), "{value:?}: {told}");
        assert_eq!(told.contains("keys.master"), said.starts_with("keys.master"), "{told}");
        assert!(value.is_none_or(|value| !told.contains(value)), "{told}");
    }
}

/// As an orchestrator mounts a secret: readable by a group of the process, and not writable.
#[cfg(unix)]
#[test]
fn the_master_key_may_be_read_by_a_group_of_the_process() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let (main, key) = (folder.path().join("main.yaml"), folder.path().join("master.key"));
    let contract = std::fs::canonicalize("tests/configs/good/acme.yaml").expect("a contract");
    let written = format!(
        "listeners: {{ ingress: {{ bind: \"127.0.0.1:8080\" }} }}\nstate: {{ path: state }}\n\
         upstreams: {{ crm: {{ url: \"http://127.0.0.1:9000\" }} }}\ncontracts: {}\nkeys: {{ master: master.key }}\n",
        contract.display()
    );
    std::fs::write(&main, written).expect("written");
    let (main, key_text) = (main.to_str().expect("a path"), key.to_str().expect("a path"));
    assert!(vendorgate(&["keys", "generate", "--out", key_text]).status.success());
    for (mode, is_good) in [(0o440, true), (0o640, true), (0o400, true), (0o444, false), (0o660, false)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).expect("a mode");
        let told = text(&vendorgate(&["check", "--config", main]).stdout);
        assert_eq!(told.contains("can be read by others"), !is_good, "{mode:o}: {told}");
    }
}

#[test]
fn check_prints_json_for_scripts() {
    let output = vendorgate(&["check", "--json", "--config", "tests/configs/bad/main-bind.yaml"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
    assert_eq!(answer["good"], false);
    let first = &answer["faults"][0];
    assert_eq!((first["line"].as_u64(), first["column"].as_u64()), (Some(2), Some(20)));
    assert_eq!((first["path"].as_str(), first["severity"].as_str()), (Some("listeners.ingress.bind"), Some("fault")));
}

#[test]
fn schema_prints_a_schema_of_each_file() {
    for file in ["config", "contract", "operators"] {
        let output = vendorgate(&["schema", file]);
        let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
        assert_eq!(schema["title"], format!("vendorgate {file}"));
        assert_eq!(schema["additionalProperties"], false);
    }
}

#[test]
fn an_operator_is_added_to_the_file_that_the_config_names() {
    let folder = tempfile::tempdir().expect("folder");
    let config = folder.path().join("vendorgate.yaml");
    let admin = "admin: { bind: \"127.0.0.1:0\", operators: people.yaml }";
    let ingress = "ingress: { bind: \"127.0.0.1:0\" }";
    let contracts = std::fs::canonicalize("config/contracts/swift-parcel.yaml").expect("contract");
    let yaml = format!(
        "listeners:\n  {ingress}\n  {admin}\nstate: {{ path: state }}\n\
         upstreams: {{ orders: {{ url: \"http://127.0.0.1:1\" }} }}\ncontracts: {}\n",
        contracts.display()
    );
    std::fs::write(&config, yaml).expect("written");
    let config = config.to_str().expect("path");
    assert_eq!(vendorgate(&["check", "--config", config]).status.code(), Some(1), "no file of operators yet");
    let added = vendorgate(&["operators", "add", "alice", "--role", "operator", "--config", config]);
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert!(text(&added.stdout).starts_with("vgo_") && !text(&added.stderr).contains("vgo_"));
    assert_eq!(vendorgate(&["check", "--config", config]).status.code(), Some(0));
    let again = vendorgate(&["operators", "add", "alice", "--role", "admin", "--config", config]);
    assert_eq!((again.status.code(), text(&again.stderr).contains("already")), (Some(2), true));
}

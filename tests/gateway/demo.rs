//! The demo as a user sees it: every step and check holds, and no file is left behind.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use crate::support::signal;

const COLUMNS: usize = 100;

fn demo(arguments: &[&str], temporary: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
    command.arg("demo").args(arguments).env("TMPDIR", temporary).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn is_empty(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder).expect("folder").next().is_none()
}

#[test]
fn every_step_and_check_of_the_demo_holds() {
    let temporary = tempfile::tempdir().expect("folder");
    let output = demo(&["--once"], temporary.path()).output().expect("the demo runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("All went as told: 9 steps, "), "{text}");
    for step in 1..=9 {
        assert!(text.contains(&format!("\n{step}  ")), "no step {step}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "colour in a pipe");
    let wide: Vec<_> = text.lines().filter(|line| line.chars().count() > COLUMNS).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    assert!(is_empty(temporary.path()), "files are left behind");
}

/// Runs the lines of a service that calls by `HTTPS_PROXY`, as somebody who copies them would.
fn try_the_way_out(invitation: &[String]) {
    let lines = invitation.iter().skip_while(|line| !line.starts_with("# a service"));
    let lines: String = lines.take_while(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
    let output = Command::new("sh").args(["-c", &lines]).output().expect("a shell");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let received = ["{\"accepted\":true}", "POST /v2/events", "authorization: Bearer acme-live-"];
    assert!(received.iter().all(|part| said.contains(part)) && !said.contains("ann@"), "{lines}{said}");
}

#[test]
fn without_once_the_demo_runs_until_a_signal_ends_it() {
    let temporary = tempfile::tempdir().expect("folder");
    let mut child = demo(&[], temporary.path()).spawn().expect("the demo runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let invitation: Vec<_> = lines.by_ref().take_while(|line| !line.starts_with("Ctrl-C ends it")).collect();
    assert!(invitation.iter().any(|line| line.starts_with("TOKEN=ey")), "{invitation:#?}");
    assert!(invitation.iter().any(|line| line.starts_with("curl ")), "{invitation:#?}");
    assert!(invitation.iter().any(|line| line.starts_with("VENDORGATE_TOKEN=$OLGA ")), "{invitation:#?}");
    try_the_way_out(&invitation);
    assert!(!is_empty(temporary.path()) && child.try_wait().expect("alive").is_none());
    signal("TERM", child.id());
    let code = child.wait().expect("ends").code();
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(is_empty(temporary.path()), "files are left behind");
}

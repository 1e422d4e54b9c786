//! The real program as a child process, for tests of signals, `kill -9` and memory.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;

use super::PATIENCE;
use super::client::{self, Answer};
use super::fixture::GatewayFixture;
use super::until;

/// A running `vendorgate run`.
pub(crate) struct Process {
    child: Child,
    pub(crate) ingress: SocketAddr,
    pub(crate) egress: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
    events: mpsc::Receiver<String>,
}

impl Process {
    /// Starts the program in a fixture and waits until it serves.
    pub(crate) fn start(fixture: &GatewayFixture) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_vendorgate")), fixture)
    }

    /// As [`Self::start`], by a command that becomes the program with the arguments that it is given.
    pub(crate) fn start_by(mut command: Command, fixture: &GatewayFixture) -> Self {
        let mut child = command
            .args(["run", "--config"])
            .arg(fixture.main())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // The exchange lines are not read, but the program needs somewhere to write them.
        let mut lines = child.stdout.take().expect("piped");
        std::thread::spawn(move || drop(std::io::copy(&mut lines, &mut std::io::sink())));
        let (tell, told) = mpsc::channel();
        let (keep, kept) = mpsc::channel();
        let events = BufReader::new(child.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            for line in events.lines().map_while(Result::ok) {
                let _ = tell.send(line.clone());
                let _ = keep.send(line);
            }
        });
        let mut said = Vec::new();
        while !said.iter().any(|line: &String| line.contains("\"serving\"")) {
            said.push(told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it does not serve: {said:#?}")));
        }
        let address = |name: &str| {
            let events = said.iter().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            let mut found = events.filter(|event| event["listener"] == name);
            found.find_map(|event| event["address"].as_str()?.parse().ok())
        };
        let required = |name: &str| address(name).unwrap_or_else(|| panic!("no {name}: {said:#?}"));
        let (ingress, admin) = (required("ingress"), required("admin"));
        Self { child, ingress, egress: address("egress"), admin, events: kept }
    }

    /// What the program has logged since the start, or since the last call, up to a line that is waited for.
    pub(crate) fn until_said(&self, what: &str, is_it: impl Fn(&str) -> bool) -> Vec<String> {
        let mut said: Vec<String> = Vec::new();
        while !said.last().is_some_and(|line| is_it(line)) {
            let line = self.events.recv_timeout(PATIENCE);
            said.push(line.unwrap_or_else(|_| panic!("not said: {what}: {said:#?}")));
        }
        said
    }

    /// A path as the process sees it.
    pub(crate) fn within(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(path.strip_prefix("/").expect("an absolute path"))
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let mut text = String::new();
        let path = format!("/proc/{}/status", self.child.id());
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)).expect("a process");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        super::signal(name, self.child.id());
    }

    /// Runs the program's own client against it, as an operator.
    pub(crate) fn cli(&self, fixture: &GatewayFixture, operator: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_vendorgate"))
            .args(arguments)
            .env("VENDORGATE_ADMIN", format!("http://{}", self.admin))
            .env("VENDORGATE_TOKEN", fixture.operator(operator))
            .output()
            .expect("the program runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Waits for the end of the process.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the process ends", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("ended")
    }

    /// An operator's call.
    pub(crate) fn admin(&self, fixture: &GatewayFixture, role: &str, method: &str, path: &str, body: &str) -> Answer {
        client::admin(self.admin, fixture.operator(role), method, path, body)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

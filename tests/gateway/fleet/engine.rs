//! Debian's redis-server as the engine: with TLS, client certificates, and the ACL of docs/fleet.md.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::support::{signal, until};

/// The gateways' password at the engine, and that of the test itself, which may do everything.
const PASSWORD: &str = "a-password-of-the-engine";

/// What several servers have in common: certificates and the ACL.
pub(crate) struct EngineFolder {
    folder: TempDir,
}

/// A running server.
pub(crate) struct Engine {
    child: Option<Child>,
    pub(crate) port: u16,
    home: PathBuf,
    shared: PathBuf,
    arguments: Vec<String>,
}

impl EngineFolder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write_certificates(folder.path());
        let acl = format!("{}\nuser default on >{PASSWORD} ~* &* +@all\n", documented_acl());
        fs::write(folder.path().join("users.acl"), acl).expect("written");
        fs::write(folder.path().join("password"), PASSWORD).expect("written");
        private(&folder.path().join("password"));
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What a gateway's main file says of its fleet, with the place of the engine.
    pub(crate) fn fleet(&self, place: &str, node: &str) -> String {
        let at = self.path().display();
        format!(
            "fleet:
  redis: \"{place}\"
  name: test
  node: {node}
  tls: {{ ca: {at}/ca.pem, cert: {at}/client.pem, key: {at}/client.key }}
  user: vendorgate
  password_file: {at}/password
"
        )
    }

    /// Starts a server with these arguments beside those that every server has.
    pub(crate) fn start(&self, arguments: &[&str]) -> Engine {
        self.start_on(free_port(), arguments)
    }

    pub(crate) fn start_on(&self, port: u16, arguments: &[&str]) -> Engine {
        let home = self.path().join(port.to_string());
        fs::create_dir_all(&home).expect("a folder");
        let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
        let mut engine = Engine { child: None, port, home, shared: self.path().to_owned(), arguments };
        engine.restart();
        engine
    }
}

impl Engine {
    /// Where gateways find it.
    pub(crate) fn place(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.port)
    }

    /// Starts the server again, from what is in its folder, and waits until it answers.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let at = self.shared.display();
        let mut command = Command::new("redis-server");
        command.arg("--port").arg("0").arg("--tls-port").arg(self.port.to_string()).arg("--bind").arg("127.0.0.1");
        for (name, file) in [("cert-file", "gateway.pem"), ("key-file", "gateway.key"), ("ca-cert-file", "ca.pem")] {
            command.arg(format!("--tls-{name}")).arg(format!("{at}/{file}"));
        }
        command.args([
            "--tls-replication",
            "yes",
            "--appendonly",
            "yes",
            "--save",
            "",
            "--enable-debug-command",
            "yes",
        ]);
        command.args(["--masteruser", "default", "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"]);
        command.arg("--aclfile").arg(format!("{at}/users.acl")).arg("--dir").arg(&self.home).args(&self.arguments);
        let log = fs::File::create(self.home.join("log")).expect("a file");
        let child = command.stdout(log).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("redis-server is installed"));
        until(&format!("the engine answers: {}", self.home.join("log").display()), || {
            self.try_say(&["PING"]).is_some_and(|said| said.contains("PONG"))
        });
    }

    /// Kills the server.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops its time, or lets it go on.
    pub(crate) fn freeze(&self, frozen: bool) {
        let child = self.child.as_ref().expect("it runs");
        signal(if frozen { "STOP" } else { "CONT" }, child.id());
    }

    /// Its own folder, with the append-only file.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Gives it a command, as an administrator; what it answered.
    #[track_caller]
    pub(crate) fn say(&self, command: &[&str]) -> String {
        self.try_say(command).unwrap_or_else(|| panic!("no answer to {command:?}"))
    }

    /// As [`Self::say`]; none where it does not answer.
    pub(crate) fn try_say(&self, command: &[&str]) -> Option<String> {
        let at = self.shared.display();
        let output = Command::new("redis-cli")
            .args(["--no-auth-warning", "-p", &self.port.to_string(), "--user", "default", "--pass", PASSWORD, "--tls"])
            .args(["--cacert", &format!("{at}/ca.pem"), "--cert", &format!("{at}/client.pem")])
            .args(["--key", &format!("{at}/client.key")])
            .args(command)
            .output()
            .expect("redis-cli is installed");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts a sentinel that watches a master called `mymaster`; it wants two of three for a failover.
pub(crate) fn sentinel(folder: &EngineFolder, master: &Engine) -> (Child, u16) {
    let port = free_port();
    let at = folder.path().display();
    let text = format!(
        "port 0\ntls-port {port}\nbind 127.0.0.1\ntls-cert-file {at}/gateway.pem\ntls-key-file {at}/gateway.key
tls-ca-cert-file {at}/ca.pem\ntls-replication yes\ndir {at}\naclfile {at}/users-{port}.acl
sentinel monitor mymaster 127.0.0.1 {} 2\nsentinel auth-user mymaster default\nsentinel auth-pass mymaster {PASSWORD}
sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 5000
sentinel sentinel-user default\nsentinel sentinel-pass {PASSWORD}\n",
        master.port
    );
    let acl = format!(
        "user vendorgate on >{PASSWORD} -@all +sentinel|get-master-addr-by-name\nuser default on >{PASSWORD} ~* &* +@all\n"
    );
    fs::write(folder.path().join(format!("users-{port}.acl")), acl).expect("written");
    let file = folder.path().join(format!("sentinel-{port}.conf"));
    let mut written = fs::File::create(&file).expect("a file");
    written.write_all(text.as_bytes()).expect("written");
    let child = Command::new("redis-sentinel").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    (child.expect("redis-sentinel is installed"), port)
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    // A cluster's own port is ten thousand higher.
    loop {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("an address").port();
        if port < 50_000 {
            return port;
        }
    }
}

/// The line of the ACL that docs/fleet.md shows, with the password of the test.
fn documented_acl() -> String {
    let mut page = String::new();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fleet.md");
    fs::File::open(path).and_then(|mut file| file.read_to_string(&mut page)).expect("a page");
    let line = page.lines().find(|line| line.starts_with("user vendorgate ")).expect("an ACL");
    line.replace("PASSWORD", PASSWORD)
}

/// An authority, and a certificate by it for servers and gateways alike. OpenSSL tells them apart by their names.
fn write_certificates(folder: &Path) {
    let named = |name: &str, hosts: Vec<String>| {
        let mut params = CertificateParams::new(hosts).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut authority = named("authority of the engine", Vec::new());
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().expect("a key");
    let certificate = authority.self_signed(&authority_key).expect("signed");
    fs::write(folder.join("ca.pem"), certificate.pem()).expect("written");
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let leaf = named("engine", vec!["127.0.0.1".to_owned()]).signed_by(&key, &issuer).expect("signed");
    for name in ["gateway", "client"] {
        fs::write(folder.join(format!("{name}.pem")), leaf.pem()).expect("written");
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("written");
        private(&folder.join(format!("{name}.key")));
    }
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("mode");
}

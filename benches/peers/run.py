#!/usr/bin/env python3
"""vendorgate beside nginx and HAProxy: CPU time per request, in one interleaved run on one machine.

    python3 benches/peers/run.py                 # builds vendorgate, installs nginx, haproxy and wrk by apt if absent
    python3 benches/peers/run.py --rounds 5 --seconds 5 --work small,treated-16k

Every contender is pinned to CPU 0 with one worker; the load generator and the origin share CPU 1. The rounds are
interleaved, and the figure to read is the median CPU time (user + system) of the proxy per request: it hardly moves
with what else the machine does, requests per second do. Compare within one run only.

vendorgate runs with every policy on: RS256 access tokens, scopes, rotation, revocation, request rate, concurrency,
record and byte budgets, kill switch, metrics, exposure and the exchange log. nginx is a plain proxy and does none of
it. HAProxy verifies the same token, checks the scope and keeps a request rate.
`bare hyper` is examples/bare_proxy.rs: the floor of what our HTTP library costs.
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ISSUER, AUDIENCE, SCOPE = "https://id.example.com", "https://api.example.com", "customers:read"
TICKS = os.sysconf("SC_CLK_TCK")
CONTENDERS = ("nginx", "bare hyper", "haproxy", "vendorgate")


def main():
    arguments = parse_arguments()
    install()
    programs = build()
    with tempfile.TemporaryDirectory(prefix="vendorgate-peers-") as folder:
        bench = Bench(pathlib.Path(folder), programs, arguments)
        try:
            bench.start()
            rows = bench.run()
        finally:
            bench.stop()
    report(rows, arguments)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of one measurement (default 4)")
    parser.add_argument("--connections", type=int, default=64, help="keep-alive connections (default 64)")
    parser.add_argument("--work", default="small,treated-1k,treated-16k,treated-10m", help="comma-separated workloads")
    return parser.parse_args()


def install():
    missing = [package for package in ("nginx", "haproxy", "wrk", "openssl") if not shutil.which(package)]
    if missing:
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=True)


def build():
    targets = ["--bin", "vendorgate", "--example", "bare_proxy"]
    subprocess.run(["cargo", "build", "--release", "--locked", *targets], cwd=ROOT, check=True)
    return ROOT / "target" / "release"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bench:
    """Everything that runs: an origin, the contenders, and the load."""

    def __init__(self, folder, programs, arguments):
        self.folder, self.arguments = folder, arguments
        self.vendorgate, self.bare = programs / "vendorgate", programs / "examples" / "bare_proxy"
        self.processes = {}
        self.ports = {name: free_port() for name in ("origin", *CONTENDERS, "admin")}
        self.keys = Keys(folder)
        self.token = self.keys.token()

    def start(self):
        self.make_bodies()
        self.start_nginx("origin", self.origin_config(), cpu=1)
        self.start_nginx("nginx", self.nginx_config(), cpu=0)
        self.start_haproxy()
        self.spawn("bare hyper", [str(self.bare), str(self.ports["bare hyper"]), str(self.ports["origin"])], cpu=0)
        self.start_vendorgate()
        for name in ("origin", *CONTENDERS):
            wait_for(self.ports[name], self.folder / f"{name}.log")

    def stop(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()

    def spawn(self, name, command, cpu):
        log = open(self.folder / f"{name}.log", "wb")
        self.processes[name] = subprocess.Popen(["taskset", "-c", str(cpu), *command], stdout=log, stderr=log)

    # The origin answers static files: the cheapest upstream there is.

    def make_bodies(self):
        www = self.folder / "www"
        www.mkdir()
        (www / "small").write_text(json.dumps({"status": "ok", "pad": "x" * 168}))
        for name, size in (("treated-1k", 1), ("treated-16k", 18), ("treated-10m", 11_000)):
            customers = [customer(number) for number in range(size)]
            (www / name).write_text(json.dumps({"customers": customers}, separators=(",", ":")))

    def origin_config(self):
        return f"""
            server {{ listen 127.0.0.1:{self.ports['origin']} backlog=4096; root {self.folder}/www;
                default_type application/json; keepalive_requests 1000000000; etag off; }}"""

    def nginx_config(self):
        return f"""
            upstream origin {{ server 127.0.0.1:{self.ports['origin']}; keepalive 128; keepalive_requests 1000000000; }}
            server {{ listen 127.0.0.1:{self.ports['nginx']} backlog=4096; keepalive_requests 1000000000;
                location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}"""

    def start_nginx(self, name, servers, cpu):
        config = self.folder / f"{name}.conf"
        config.write_text(f"""
            daemon off; worker_processes 1; pid {self.folder}/{name}.pid; error_log stderr crit; user root;
            events {{ worker_connections 8192; }}
            http {{ access_log off; sendfile on; tcp_nopush on;
                client_body_temp_path {self.folder}/{name}-body; proxy_temp_path {self.folder}/{name}-proxy;
                fastcgi_temp_path {self.folder}/{name}-f; uwsgi_temp_path {self.folder}/{name}-u;
                scgi_temp_path {self.folder}/{name}-s; {servers} }}""")
        self.spawn(name, ["nginx", "-p", str(self.folder), "-c", str(config)], cpu)

    def start_haproxy(self):
        config = self.folder / "haproxy.cfg"
        config.write_text(f"""
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{self.ports['haproxy']}
    http-request set-var(txn.token) http_auth_bearer
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_header_query('$.alg') -m str RS256 }}
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.iss') -m str {ISSUER} }}
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify("RS256","{self.keys.public}") -m int 1 }}
    http-request deny deny_status 403 unless {{ var(txn.token),jwt_payload_query('$.scope') -m sub {SCOPE} }}
    stick-table type string len 32 size 10k expire 1m store http_req_rate(10s)
    http-request track-sc0 str(acme)
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 100000000 }}
    default_backend origin
backend origin
    http-reuse always
    server origin 127.0.0.1:{self.ports['origin']} maxconn 4096
""")
        self.spawn("haproxy", ["haproxy", "-db", "-f", str(config)], cpu=0)

    def start_vendorgate(self):
        (self.folder / "contracts").mkdir()
        (self.folder / "jwks.json").write_text(self.keys.jwks())
        (self.folder / "operators.yaml").write_text("operators: []\n")
        subprocess.run([self.vendorgate, "keys", "generate", "--out", self.folder / "master.key"], check=True, capture_output=True)
        (self.folder / "vendorgate.yaml").write_text(f"""
listeners:
  ingress: {{ bind: "127.0.0.1:{self.ports['vendorgate']}" }}
  admin: {{ bind: "127.0.0.1:{self.ports['admin']}", operators: operators.yaml }}
state: {{ path: state }}
keys: {{ master: master.key }}
upstreams:
  origin: {{ url: "http://127.0.0.1:{self.ports['origin']}" }}
contracts: contracts/
""")
        (self.folder / "contracts" / "acme.yaml").write_text(f"""
vendor: acme
name: ACME
owner: bench@example.com
security_contact: soc@acme.example
starts: 2020-01-01
ends: 2099-12-31
identity:
  issuer: {ISSUER}
  audience: {AUDIENCE}
  clients: [bench]
  jwks: {{ file: ../jwks.json }}
  algorithms: [RS256]
  rotation: {{ max_lifetime: 24h, max_age: 24h, superseded_grace: 2m, max_key_age: 90d }}
scopes: [{SCOPE}]
limits:
  requests: {{ rate: 1000000/s, burst: 1000000 }}
  concurrency: 10000
  records: {{ budget: 1000000000000, window: 10s, over: sever }}
  bytes: {{ budget: 100000GB, window: 1m, over: refuse }}
ingress:
  - {{ route: GET /small, scopes: [{SCOPE}], upstream: origin }}
""" + "".join(treated_route(name) for name in ("treated-1k", "treated-16k", "treated-10m")))
        self.spawn("vendorgate", [str(self.vendorgate), "run", "--config", str(self.folder / "vendorgate.yaml")], cpu=0)

    # The measurements.

    def run(self):
        rows = {}
        for work in self.arguments.work.split(","):
            for contender in CONTENDERS:
                self.measure(contender, work, seconds=1)
            for _ in range(self.arguments.rounds):
                for contender in CONTENDERS:
                    rows.setdefault((work, contender), []).append(self.measure(contender, work, self.arguments.seconds))
            print(f"measured {work}", file=sys.stderr)
        return rows

    def measure(self, contender, work, seconds):
        connections = self.arguments.connections if not work.endswith("10m") else 4
        url = f"http://127.0.0.1:{self.ports[contender]}/{work}"
        before = cpu_of(self.processes[contender].pid)
        wrk = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s",
               "-H", f"Authorization: Bearer {self.token}", url]
        output = subprocess.run(wrk, check=True, capture_output=True, text=True).stdout
        user, system = (after - start for after, start in zip(cpu_of(self.processes[contender].pid), before))
        requests = int(next(line for line in output.splitlines() if "requests in" in line).split()[0])
        if "Non-2xx" in output or requests == 0:
            raise SystemExit(f"{contender} did not answer {work} with 200:\n{output}")
        return {"rps": requests / seconds, "user": user * 1e6 / requests, "system": system * 1e6 / requests}


class Keys:
    """An RSA key pair and one token of it, by the openssl command."""

    def __init__(self, folder):
        self.private, self.public = folder / "issuer.pem", folder / "issuer.pub.pem"
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)

    def jwks(self):
        modulus = openssl("rsa", "-in", self.private, "-noout", "-modulus").decode().strip().split("=")[1]
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bench", "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}
        return json.dumps({"keys": [key]})

    def token(self):
        now = int(time.time())
        header = {"alg": "RS256", "typ": "at+jwt", "kid": "bench"}
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "bench", "client_id": "bench", "iat": now - 5, "exp": now + 43200,
                  "jti": "bench-1", "scope": SCOPE}
        signed = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.private], input=signed.encode(),
                                   check=True, capture_output=True).stdout
        return f"{signed}.{b64(signature)}"


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True).stdout


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def treated_route(name):
    """Eleven values of a record are treated, one treatment of each kind at least."""
    fields = [("email", "tokenize"), ("phone", "mask, keep_last: 2"), ("card.number", "mask, keep_last: 4"),
              ("name.first", "hash"), ("name.last", "hash"), ("address.street", "redact"), ("address.postcode", "redact"),
              ("ssn", "redact"), ("iban", "hash"), ("birth_date", "redact"), ("device.ip", "hash")]
    rules = "".join(f'\n        - {{ field: "$.customers[*].{path}", as: {how} }}' for path, how in fields)
    return f"""
  - route: GET /{name}
    scopes: [{SCOPE}]
    upstream: origin
    records: "$.customers[*]"
    subject: "$.customers[*].id"
    response:
      pii:{rules}
"""


def customer(number):
    return {
        "id": f"cus_{number:08d}", "created": "2026-03-04T05:06:07Z", "status": "active", "tier": number % 5,
        "name": {"title": "Dr", "first": "Zoë", "last": f"Müller-{number}"}, "email": f"zoe.{number}@example.com",
        "phone": f"+49 30 {number:08d}", "ssn": f"{100 + number % 800:03d}-45-{number % 10000:04d}", "iban": f"DE89370400440532{number:06d}",
        "birth_date": "1984-05-06", "card": {"number": "4111111111111111", "expires": "12/29", "brand": "visa"},
        "address": {"street": f"Hauptstraße {number}", "city": "Köln", "postcode": "50667", "country": "DE", "geo": [50.94, 6.96]},
        "device": {"ip": f"192.0.2.{number % 255}", "os": "iOS 19", "app": "4.2.1"},
        "orders": [{"id": f"ord_{number}_{i}", "total": 12.5 * i, "currency": "EUR", "lines": i + 1} for i in range(3)],
        "tags": ["newsletter", "loyalty", "beta"], "notes": "prefers e-mail", "score": 0.731, "blocked": False, "referrer": None,
    }


def wait_for(port, log):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}:\n{log.read_text()}")


def cpu_of(pid):
    """User and system seconds of a process and its children."""
    pids = [pid] + [int(child) for child in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()]
    user = system = 0
    for one in pids:
        fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        user, system = user + int(fields[11]) / TICKS, system + int(fields[12]) / TICKS
    return user, system


def report(rows, arguments):
    print(f"\n{arguments.rounds} interleaved rounds of {arguments.seconds} s, medians; CPU µs per request of the proxy\n")
    print("| work | contender | requests/s | CPU µs (user + system) | x nginx |")
    print("| --- | --- | --: | --: | --: |")
    for (work, contender), runs in rows.items():
        total = statistics.median(run["user"] + run["system"] for run in runs)
        base = statistics.median(run["user"] + run["system"] for run in rows[(work, "nginx")])
        user, system, rps = (statistics.median(run[key] for run in runs) for key in ("user", "system", "rps"))
        print(f"| {work} | {contender} | {rps:,.0f} | {total:,.1f} ({user:,.1f} + {system:,.1f}) | {total / base:.2f} |")


if __name__ == "__main__":
    main()

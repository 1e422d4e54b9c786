# $1 is 0 when the package goes, 1 at an upgrade.
if [ "$1" -eq 0 ] && [ -d /run/systemd/system ]; then
    systemctl disable --now --quiet vendorgate.socket vendorgate.service || true
fi

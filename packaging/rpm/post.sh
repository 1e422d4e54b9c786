# $1 is 1 at the first install and 2 at an upgrade.
getent group vendorgate >/dev/null || groupadd --system vendorgate
getent passwd vendorgate >/dev/null || useradd --system --gid vendorgate --no-create-home \
    --home-dir /var/lib/vendorgate --shell /usr/sbin/nologin --comment "vendorgate gateway" vendorgate
install -d -o root -g vendorgate -m 0750 /etc/vendorgate /etc/vendorgate/contracts
install -d -o vendorgate -g vendorgate -m 0700 /var/lib/vendorgate
for file in vendorgate.yaml operators.yaml; do
    chown root:vendorgate "/etc/vendorgate/$file" && chmod 0640 "/etc/vendorgate/$file"
done
[ -e /etc/vendorgate/master.key ] || (umask 077 && vendorgate keys generate --out /etc/vendorgate/master.key >/dev/null)
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    if [ "$1" -gt 1 ] && systemctl --quiet is-active vendorgate.service; then
        if CREDENTIALS_DIRECTORY=/etc/vendorgate vendorgate check --config /etc/vendorgate/vendorgate.yaml; then
            systemctl restart vendorgate.service
        else
            echo "vendorgate: the config has faults for this version; the old program goes on until you restart it" >&2
        fi
    fi
fi

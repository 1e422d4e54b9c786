# An rpm has no 'purge': config that was changed, state and master key stay, as does the user that owns them.
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi

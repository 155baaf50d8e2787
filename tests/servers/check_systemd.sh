#!/bin/bash
# Checks the units of deploy/systemd: by our own rules, and where systemd-analyze is there, what
# systemd says of them and how much of the machine they see. Nothing is started.
#
#   tests/servers/check_systemd.sh
set -eu

HERE=$(dirname "${BASH_SOURCE[0]}")
UNITS=$HERE/../../deploy/systemd
# In tenths, as `systemd-analyze security` counts; what remains is mostly the network.
EXPOSURE_MAX=15

"${RELINK_TEST_PYTHON:-/usr/bin/python3}" "$HERE/check_systemd.py" "$HERE/../../README.md" "$UNITS"
command -v systemd-analyze >/dev/null || exit 0

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -r "$UNITS/." "$folder"
# It looks whether the program is there; Relink is not installed here.
sed -i 's|^ExecStart=/usr/local/bin/relink|ExecStart=/bin/true|' "$folder"/*.service
cd "$folder"
# What it does not know it only warns about: whatever it says is a failure.
if ! said=$(systemd-analyze verify --man=no --generators=no ./*.service ./*.target 2>&1) ||
    [[ -n $said ]]; then
    printf '%s\n' "$said" >&2
    exit 1
fi
for unit in ./*.service; do
    systemd-analyze security --offline=true --no-pager --threshold="$EXPOSURE_MAX" "$unit" \
        >"$folder/report" || { cat "$folder/report" >&2; exit 1; }
    tail -n 1 "$folder/report"
done

# shellcheck shell=bash
# Builds cargo-deny, which holds deny.toml, in a fixed version. Sourced.
#
# It is kept below target/, so that it is built once; one of that version in the PATH will do.

DENY_VERSION=0.20.2
DENY_ROOT=$SERVERS_SOURCE/../../target/cargo-deny
# The registry is asked again by cargo itself; this is for a network that swallows everything.
DENY_PATIENCE_S=900
# Where cargo-deny keeps the database of advisories.
DENY_ADVISORIES=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs

# Sets DENY to the program; fails with the reason in DENY_TROUBLE.
prepare_deny() {
    local log=$SERVERS_DIR/cargo-deny.log
    DENY_TROUBLE=''
    DENY=$(command -v cargo-deny)
    deny_fits && return 0
    DENY=$DENY_ROOT/bin/cargo-deny
    deny_fits && return 0
    say "Building cargo-deny $DENY_VERSION, once"
    # Without optimisation: it runs for a second, and builds in half the time.
    env -u CARGO_TARGET_DIR timeout "$DENY_PATIENCE_S" cargo install --quiet --debug --locked \
        --root "$DENY_ROOT" --version "=$DENY_VERSION" cargo-deny </dev/null >"$log" 2>&1 || {
        show_log "$log"
        DENY_TROUBLE='cargo could not build it'
        return 1
    }
    deny_fits || { DENY_TROUBLE='what was built is another version'; return 1; }
}

deny_fits() {
    [[ -n $DENY && $("$DENY" --version 2>/dev/null) == "cargo-deny $DENY_VERSION" ]]
}

# Brings the database of advisories up to date, or finds one that was fetched before.
advisories_at_hand() {
    timeout 60 "$DENY" fetch db </dev/null >"$SERVERS_DIR/advisories.log" 2>&1 ||
        compgen -G "$DENY_ADVISORIES/*/.git" >/dev/null
}

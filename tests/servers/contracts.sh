# shellcheck shell=bash
# The readers that others have for deploy/contracts: of AsyncAPI and of OpenAPI documents. Sourced.
#
# npm fetches exactly what tests/contracts/package-lock.json names and holds each package against
# the checksum there. They are kept below target/, for as long as that file and Node are the same.

CONTRACTS_SOURCE=$SERVERS_SOURCE/../contracts
CONTRACTS_ROOT=$SERVERS_SOURCE/../../target/contracts
# npm asks again by itself; this is for a network that swallows everything.
CONTRACTS_PATIENCE_S=300

# Sets CONTRACTS_CHECK, a script for node; fails with the reason in CONTRACTS_TROUBLE.
prepare_contracts() {
    CONTRACTS_TROUBLE=''
    CONTRACTS_CHECK=$CONTRACTS_ROOT/check.js
    command -v node >/dev/null || { CONTRACTS_TROUBLE='node is not installed'; return 1; }
    # Modules are looked for from where the script lies.
    mkdir -p "$CONTRACTS_ROOT" && cp "$CONTRACTS_SOURCE/check.js" "$CONTRACTS_CHECK" || {
        CONTRACTS_TROUBLE="$CONTRACTS_ROOT cannot be written"
        return 1
    }
    [[ $(cat "$CONTRACTS_ROOT/fetched" 2>/dev/null) == "$(contracts_wanted)" ]] || fetch_contracts
}

contracts_wanted() {
    node --version
    sha256sum <"$CONTRACTS_SOURCE/package-lock.json"
}

fetch_contracts() {
    local log=$SERVERS_DIR/contracts.log
    command -v npm >/dev/null || { CONTRACTS_TROUBLE='npm is not installed'; return 1; }
    rm -f "$CONTRACTS_ROOT/fetched"
    cp "$CONTRACTS_SOURCE"/package*.json "$CONTRACTS_ROOT"
    say 'Fetching readers of AsyncAPI and OpenAPI with npm, once'
    # No script of theirs is run, and nothing is left in the home of whoever tests.
    (cd "$CONTRACTS_ROOT" && timeout "$CONTRACTS_PATIENCE_S" npm ci --omit=peer --ignore-scripts \
        --no-audit --no-fund --cache "$SERVERS_DIR/npm-contracts" </dev/null >"$log" 2>&1) || {
        show_log "$log"
        CONTRACTS_TROUBLE='npm could not fetch them, or their checksums differ'
        return 1
    }
    contracts_wanted >"$CONTRACTS_ROOT/fetched"
}

# shellcheck shell=bash
# Fetches axe-core, which looks for barriers on the relink page, through npm. Sourced.
#
# It is kept below target/, so that it is fetched once; RELINK_TEST_AXE names another copy.

AXE_VERSION=4.14.1
# Of the package, as npm itself lists it (`npm view axe-core dist.integrity`).
AXE_PACKAGE_SHA512=1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5
# Of the one file in it that is used.
AXE_SCRIPT_SHA256=29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c
AXE_SCRIPT=$SERVERS_SOURCE/../../target/axe-core/axe-$AXE_VERSION.min.js
# npm asks again by itself; this is for a network that swallows everything.
AXE_PATIENCE_S=120

# Whether npm is needed for it.
axe_missing() { [[ -z ${RELINK_TEST_AXE:-} ]] && ! axe_genuine; }

axe_genuine() {
    [[ -s $AXE_SCRIPT ]] && sha256sum --status -c - <<<"$AXE_SCRIPT_SHA256  $AXE_SCRIPT"
}

# Exports RELINK_TEST_AXE; fails with the reason in AXE_TROUBLE.
prepare_axe() {
    AXE_TROUBLE=''
    if axe_missing; then
        fetch_axe || return 1
    fi
    export RELINK_TEST_AXE=${RELINK_TEST_AXE:-$(realpath "$AXE_SCRIPT")}
}

fetch_axe() {
    local folder=$SERVERS_DIR/axe log=$SERVERS_DIR/npm.log package
    command -v npm >/dev/null || { AXE_TROUBLE='npm is not installed'; return 1; }
    mkdir -p "$folder" "${AXE_SCRIPT%/*}"
    say "Fetching axe-core $AXE_VERSION with npm"
    # Nothing of it is run, and nothing is left in the home of whoever tests.
    (cd "$folder" && timeout "$AXE_PATIENCE_S" npm pack "axe-core@$AXE_VERSION" \
        --ignore-scripts --cache "$folder/cache" </dev/null >"$log" 2>&1) || {
        show_log "$log"
        AXE_TROUBLE='npm could not fetch it'
        return 1
    }
    package=$folder/axe-core-$AXE_VERSION.tgz
    sha512sum --status -c - <<<"$AXE_PACKAGE_SHA512  $package" || {
        AXE_TROUBLE='npm fetched something else under its name'
        return 1
    }
    tar -xzOf "$package" package/axe.min.js >"$folder/axe.min.js" &&
        mv "$folder/axe.min.js" "$AXE_SCRIPT" && axe_genuine || {
        AXE_TROUBLE='its package could not be unpacked'
        return 1
    }
}

# shellcheck shell=bash
# Published schemas of Compose and Kubernetes, which what is in deploy/ is held against. Sourced.
#
# They are data of two Python packages, of which nothing is run. Both are fetched through pip in a
# fixed version, held against a fixed checksum, and kept below target/.

SCHEMAS_ROOT=$SERVERS_SOURCE/../../target/schemas
COMPOSE_SCHEMAS_VERSION=0.39.0
COMPOSE_SCHEMAS_SHA256=14ce5c94871c551268ea948ffe21e9f1464dc48fb20bf9a4c13deeaaf756cf9b
KUBERNETES_SCHEMAS_VERSION=1.37.0
KUBERNETES_SCHEMAS_SHA256=85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9
# pip asks again by itself; this is for a network that swallows everything.
SCHEMAS_PATIENCE_S=300

# Set COMPOSE_SCHEMAS and KUBERNETES_SCHEMAS; fail with the reason in SCHEMAS_TROUBLE.
prepare_compose_schemas() {
    COMPOSE_SCHEMAS=$SCHEMAS_ROOT/check_jsonschema-$COMPOSE_SCHEMAS_VERSION-py3-none-any.whl
    prepare_wheel check-jsonschema "$COMPOSE_SCHEMAS_VERSION" "$COMPOSE_SCHEMAS" \
        "$COMPOSE_SCHEMAS_SHA256"
}

prepare_kubernetes_schemas() {
    KUBERNETES_SCHEMAS=$SCHEMAS_ROOT/kubernetes_validate-$KUBERNETES_SCHEMAS_VERSION
    KUBERNETES_SCHEMAS+=-py3-none-any.whl
    prepare_wheel kubernetes-validate "$KUBERNETES_SCHEMAS_VERSION" "$KUBERNETES_SCHEMAS" \
        "$KUBERNETES_SCHEMAS_SHA256"
}

# prepare_wheel NAME VERSION FILE SHA256
prepare_wheel() {
    local log=$SERVERS_DIR/schemas.log
    python_has jsonschema || { SCHEMAS_TROUBLE='python3-jsonschema is not installed'; return 1; }
    wheel_genuine "$3" "$4" && return 0
    python_has pip || { SCHEMAS_TROUBLE='python3-pip is not installed'; return 1; }
    mkdir -p "$SCHEMAS_ROOT"
    say "Fetching $1 $2 with pip, once"
    timeout "$SCHEMAS_PATIENCE_S" "$RELINK_TEST_PYTHON" -m pip download --quiet --no-deps \
        --no-cache-dir --disable-pip-version-check --only-binary :all: --dest "$SCHEMAS_ROOT" \
        "$1==$2" </dev/null >"$log" 2>&1 || {
        show_log "$log"
        SCHEMAS_TROUBLE="pip could not fetch $1"
        return 1
    }
    wheel_genuine "$3" "$4" || {
        SCHEMAS_TROUBLE="pip fetched something else under the name of $1"
        return 1
    }
}

wheel_genuine() { [[ -s $1 ]] && sha256sum --status -c - <<<"$2  $1"; }

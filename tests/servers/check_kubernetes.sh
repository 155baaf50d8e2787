#!/bin/bash
# Renders deploy/kubernetes and checks every object: against Kubernetes' schemas, oldest and newest
# version, and against our own rules.
#
#   tests/servers/check_kubernetes.sh KUBECTL SCHEMAS
set -eu

KUBECTL=$1
SCHEMAS=$2
HERE=$(dirname "${BASH_SOURCE[0]}")
DEPLOY=$HERE/../../deploy/kubernetes
PYTHON=${RELINK_TEST_PYTHON:-/usr/bin/python3}
# Sleeping before SIGTERM came with 1.30; the other end is the newest that the package knows.
VERSIONS=(1.30 1.37)

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for each in base overlays/example; do
    # Without a configuration: no cluster is asked, and none could answer.
    KUBECONFIG=/dev/null "$KUBECTL" kustomize "$DEPLOY/$each" >"$folder/${each##*/}.yaml"
done
cp "$DEPLOY/secrets.example.yaml" "$folder/secrets.yaml"
for version in "${VERSIONS[@]}"; do
    "$PYTHON" "$HERE/check_kubernetes_schema.py" "$SCHEMAS" "$version" "$folder"/*.yaml
done
"$PYTHON" "$HERE/check_kubernetes.py" "$HERE/../../README.md" "$DEPLOY/secrets.example.yaml" \
    "$folder/base.yaml" "$folder/example.yaml"

"""Validates every object of a rendering, unknown fields refused.

    check_kubernetes_schema.py WHEEL VERSION RENDERED...

Kubernetes' own kinds are held against its published schemas, which the package kubernetes-validate
carries for each version. Those of KEDA and the Prometheus operator are not in there: for these
there are small schemas of our own below, of the fields that Relink uses, after the projects'
documentation. They find a field that is misspelt or misplaced, and no more than that.
"""

import json
import sys
import zipfile

import jsonschema
import yaml

IN_WHEEL = "kubernetes_validate/kubernetes-json-schema/v{}.0-local-strict/_definitions.json"
TEXT, NUMBER = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}


def fields(required, **optional):
    """An object with just these fields."""
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


def several(of):
    return {"type": "array", "items": of, "minItems": 1}


def object_of(version, kind, spec):
    labels = {"type": "object", "additionalProperties": {"type": "string"}}
    metadata = fields({"name": TEXT}, namespace=TEXT, labels=labels, annotations=labels)
    return fields(
        {"apiVersion": {"const": version}, "kind": {"const": kind}, "metadata": metadata,
         "spec": spec}
    )


LABELS = fields({"matchLabels": {"type": "object", "additionalProperties": TEXT}})
RABBITMQ = fields(
    {"protocol": {"enum": ["amqp", "http", "auto"]}, "queueName": TEXT,
     "mode": {"enum": ["QueueLength", "MessageRate"]},
     # Of a trigger all values are text, numbers as well.
     "value": {"type": "string", "pattern": "^[0-9]+$"}},
    vhostName=TEXT,
)
BEHAVIOR = fields({"scaleDown": fields({"stabilizationWindowSeconds": NUMBER})})
OWN = [
    object_of("keda.sh/v1alpha1", "TriggerAuthentication", fields(
        {"secretTargetRef": several(fields({"parameter": TEXT, "name": TEXT, "key": TEXT}))})),
    object_of("keda.sh/v1alpha1", "ScaledObject", fields(
        {"scaleTargetRef": fields({"name": TEXT}),
         "triggers": several(fields(
             {"type": {"const": "rabbitmq"}, "metadata": RABBITMQ,
              "authenticationRef": fields({"name": TEXT})}))},
        pollingInterval=NUMBER, cooldownPeriod=NUMBER, minReplicaCount=NUMBER,
        maxReplicaCount=NUMBER, fallback=fields({"failureThreshold": NUMBER, "replicas": NUMBER}),
        advanced=fields({"horizontalPodAutoscalerConfig": fields({"behavior": BEHAVIOR})}))),
    object_of("monitoring.coreos.com/v1", "PodMonitor", fields(
        {"selector": LABELS, "podMetricsEndpoints": several(
            fields({"port": TEXT}, path=TEXT,
                   interval={"type": "string", "pattern": "^[0-9]+s$"}))},
        podTargetLabels=several(TEXT))),
]


class Schemas:
    """The schema of each kind, by version and name of it."""

    def __init__(self, wheel, version):
        with zipfile.ZipFile(wheel) as archive:
            self.definitions = json.loads(archive.read(IN_WHEEL.format(version)))["$defs"]
        self.roots = {}
        for name, one in self.definitions.items():
            for kind in one.get("x-kubernetes-group-version-kind", []):
                group = f"{kind['group']}/" if kind["group"] else ""
                self.roots[f"{group}{kind['version']}", kind["kind"]] = {
                    "$ref": f"#/$defs/{name}", "$defs": self.definitions}
        for own in OWN:
            kind = own["properties"]
            self.roots[kind["apiVersion"]["const"], kind["kind"]["const"]] = own

    def problems(self, one):
        root = self.roots.get((one.get("apiVersion"), one.get("kind")))
        if root is None:
            return ["there is no such kind"]
        found = jsonschema.Draft202012Validator(root).iter_errors(one)
        return [f"{'.'.join(map(str, error.path))}: {error.message[:300]}" for error in found]


def repeated(loader, node, deep=False):
    """A mapping in which no key stands twice: of two, all but one would be lost in silence."""
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise SystemExit(f"{node.start_mark}: the key {key} stands there twice")
    return loader.construct_mapping(node, deep=True)


class Loader(yaml.SafeLoader):
    """As YAML's own, but strict about keys."""


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, repeated)


def main(wheel, version, *renderings):
    schemas, failed, looked_at = Schemas(wheel, version), False, 0
    for path in renderings:
        with open(path, encoding="utf-8") as source:
            for one in filter(None, yaml.load_all(source, Loader)):
                looked_at += 1
                for problem in schemas.problems(one):
                    failed = True
                    name = f"{one.get('kind')} {one.get('metadata', {}).get('name')}"
                    print(f"{path}: Kubernetes {version}: {name}: {problem}", file=sys.stderr)
    print(f"{looked_at} objects against Kubernetes {version}")
    return 1 if failed or looked_at == 0 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

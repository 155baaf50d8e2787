"""Our own rules for the objects of deploy/kubernetes, as `kubectl kustomize` renders them.

Whether they are objects that Kubernetes knows is looked at by check_kubernetes_schema.py.

    check_kubernetes.py README.md secrets.example.yaml RENDERED...
"""

import sys

import yaml

from settings_table import Settings

# What runs, by component: the arguments, and what it reaches beside names.
PROCESSES = {
    "ingress": (["ingress"], {"broker"}),
    "worker-lifecycle": (["worker", "lifecycle"], {"broker", "database"}),
    "worker-upcoming": (["worker", "upcoming"], {"broker", "database"}),
    "worker-followup": (["worker", "followup"], {"broker", "database", "stripe"}),
    "scheduler": (["scheduler"], {"broker", "database", "stripe"}),
    "portal": (["portal"], {"broker", "database", "stripe"}),
    "migrate": (["migrate"], {"broker", "database"}),
}
# Who is reached at which ports.
PORTS = {(5671,): "broker", (5432,): "database", (443,): "stripe", (53, 53): "names"}
# Which ports customers and Stripe get to. That of the administration nobody does unless named.
OPEN = {"ingress": {"webhooks"}, "portal": {"page"}}
# The queues whose length says how many workers there should be.
SCALED = {"worker-lifecycle": "relink.lifecycle", "worker-upcoming": "relink.upcoming"}
COMPONENT = "app.kubernetes.io/component"
SECRETS = "/etc/relink/secrets"


class Objects:
    """What one rendering holds."""

    def __init__(self, path, settings):
        with open(path, encoding="utf-8") as source:
            self.all = [one for one in yaml.safe_load_all(source) if one]
        self.path, self.settings = path, settings
        self.used_secrets, self.problems = set(), []

    def of(self, kind):
        return [one for one in self.all if one["kind"] == kind]

    def named(self, kind, name):
        return next((one for one in self.of(kind) if one["metadata"]["name"] == name), None)

    def complain(self, one, text):
        self.problems.append(f"{self.path}: {one['kind']} {one['metadata']['name']}: {text}")

    def expect(self, is_so, one, text):
        if not is_so:
            self.complain(one, text)


def selects(selector, labels):
    wanted = selector.get("matchLabels", {}).items()
    if not all(labels.get(key) == value for key, value in wanted):
        return False
    rules = selector.get("matchExpressions", [])
    if any(rule["operator"] != "In" for rule in rules):
        raise SystemExit(f"{selector}: only the operator In is understood")
    return all(labels.get(rule["key"]) in rule["values"] for rule in rules)


def check_processes(objects):
    found = {}
    for one in objects.of("Deployment") + objects.of("Job"):
        pod = one["spec"]["template"]
        component = pod["metadata"]["labels"].get(COMPONENT)
        found[component] = one
        if component not in PROCESSES:
            objects.complain(one, f"{component} is no component of Relink's")
            continue
        container = pod["spec"]["containers"][0]
        objects.expect(len(pod["spec"]["containers"]) == 1, one, "more than one container")
        args, reaches = PROCESSES[component]
        admits = OPEN.get(component, set())
        objects.expect(container.get("args") == args, one, f"its arguments are not {args}")
        check_hardening(objects, one, pod["spec"], container)
        environment = check_settings(objects, one, args[0], container)
        check_secrets(objects, one, pod["spec"], environment)
        check_reach(objects, one, pod["metadata"]["labels"], reaches)
        check_way_in(objects, one, pod["metadata"]["labels"], admits)
        if one["kind"] == "Deployment":
            check_role(objects, one, pod["spec"], container, environment)
    for component in PROCESSES.keys() - found.keys():
        objects.problems.append(f"{objects.path}: nothing runs {component}")
    return found


def check_hardening(objects, one, pod, container):
    def expect(is_so, text):
        objects.expect(is_so, one, text)

    context, own = pod.get("securityContext", {}), container.get("securityContext", {})
    expect(context.get("runAsNonRoot") is True, "it may run as root")
    user = context.get("runAsUser")
    expect(isinstance(user, int) and user > 0, "its user is not a number above 0")
    expect(context.get("seccompProfile") == {"type": "RuntimeDefault"}, "no seccomp profile")
    expect(own.get("readOnlyRootFilesystem") is True, "it may write to its root file system")
    expect(own.get("allowPrivilegeEscalation") is False, "it may gain privileges")
    expect(own.get("capabilities") == {"drop": ["ALL"]}, "it keeps capabilities")
    expect(pod.get("automountServiceAccountToken") is False, "it gets a token of the cluster")
    expect(pod.get("enableServiceLinks") is False, "services become its variables")
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        expect(not pod.get(name), f"{name} is set")
    account = objects.named("ServiceAccount", pod.get("serviceAccountName"))
    expect(account is not None, "its service account does not exist")
    if account:
        expect(account.get("automountServiceAccountToken") is False, "its account has a token")
    resources = container.get("resources", {})
    expect({"cpu", "memory"} <= resources.get("requests", {}).keys(), "it requests nothing")
    expect("memory" in resources.get("limits", {}), "its memory has no limit")


def check_settings(objects, one, role, container):
    """Its variables; what is in config maps may be there for others."""
    own = {each["name"]: each.get("value") for each in container.get("env", [])}
    environment = {}
    for source in container.get("envFrom", []):
        name = source["configMapRef"]["name"]
        values = objects.named("ConfigMap", name)
        if values is None:
            objects.complain(one, f"the config map {name} does not exist")
            continue
        environment |= values["data"]
    for name, value in (environment | own).items():
        problem = objects.settings.problem(role, name)
        if problem and (name in own or "no setting" in problem):
            objects.complain(one, problem)
        if objects.settings.is_secret(name) or value is None:
            objects.complain(one, f"{name} has to come from a file of a secret")
    return environment | own


def check_secrets(objects, one, pod, environment):
    files = set()
    for volume in pod.get("volumes", []):
        if "secret" not in volume:
            continue
        secret = volume["secret"]
        for item in secret.get("items", []):
            files.add(f"{SECRETS}/{item['path']}")
            objects.used_secrets.add((secret["secretName"], item["key"]))
        if not secret.get("items"):
            objects.complain(one, f"name the keys of the secret {secret['secretName']}")
    named = {value for name, value in environment.items() if objects.settings.is_secret_file(name)}
    for path in named - files:
        objects.complain(one, f"{path} is in no secret")
    for path in files - named:
        objects.complain(one, f"{path} is read by nothing")
    # A key without the address, or the other way round, is refused by every role.
    has_key = "RELINK_LINK_KEY_FILE" in environment
    if objects.named("Namespace", "relink") and has_key != ("RELINK_PORTAL_URL" in environment):
        objects.complain(one, "RELINK_PORTAL_URL and RELINK_LINK_KEY_FILE belong together")


def check_reach(objects, one, labels, wanted):
    """Policies add up; without one that isolates it, a pod reaches everything."""
    isolated, reached = set(), set()
    for policy in objects.of("NetworkPolicy"):
        spec = policy["spec"]
        if not selects(spec["podSelector"], labels):
            continue
        isolated |= set(spec["policyTypes"])
        for rule in spec.get("egress", []):
            ports = tuple(port["port"] for port in rule.get("ports", []))
            reached.add(PORTS.get(ports, f"ports {ports}") if rule.get("to") else "everybody")
    objects.expect(isolated == {"Ingress", "Egress"}, one, f"isolated for {isolated} only")
    wanted = wanted | {"names"}
    objects.expect(reached == wanted, one, f"reaches {sorted(reached)}, not {sorted(wanted)}")


def check_way_in(objects, one, labels, wanted):
    admitted = set()
    for policy in objects.of("NetworkPolicy"):
        if not selects(policy["spec"]["podSelector"], labels):
            continue
        for rule in policy["spec"].get("ingress", []):
            ports = {port["port"] for port in rule.get("ports", [])} or {"every port"}
            admitted |= ports - {"admin"} if rule.get("from") else ports
    objects.expect(admitted == wanted, one, f"admits to {sorted(admitted)}, not {sorted(wanted)}")


def check_role(objects, one, pod, container, environment):
    def expect(is_so, text):
        objects.expect(is_so, one, text)

    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for name, port in (("ADMIN", "admin"), ("INGRESS", "webhooks"), ("PORTAL", "page")):
        listen = environment.get(f"RELINK_{name}_LISTEN")
        expect((listen is not None) == (port in ports), f"the port {port} and its setting differ")
        expect(listen in (None, f"0.0.0.0:{ports.get(port)}"), f"{port} is not {listen}")
    probes = {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    for probe, path in probes.items():
        asked = container.get(f"{probe}Probe", {}).get("httpGet")
        expect(asked == {"path": path, "port": "admin"}, f"its {probe} probe is not {path}")
    expect(one["metadata"]["labels"].get("relink/step") == "run", "does not wait for the job")
    drain = int(environment["RELINK_DRAIN_SECONDS"])
    before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    grace = pod.get("terminationGracePeriodSeconds", 30)
    expect(grace > before + drain, f"is killed after {grace} s, before it has drained")
    expect(pod.get("topologySpreadConstraints"), "all of it may run on one node")
    labels = one["spec"]["template"]["metadata"]["labels"]
    for rule in pod.get("topologySpreadConstraints", []):
        expect(selects(rule["labelSelector"], labels), "spreads what is not its own")
    budgets = [each for each in objects.of("PodDisruptionBudget")
               if selects(each["spec"]["selector"], labels)]
    expect(len(budgets) == 1, f"has {len(budgets)} disruption budgets")
    expect(all(each["spec"].get("maxUnavailable") == 1 for each in budgets), "budget is not 1")


def check_services(objects, processes):
    for service in objects.of("Service"):
        labels = service["spec"]["selector"]
        behind = processes.get(labels.get(COMPONENT))
        if behind is None:
            objects.complain(service, "nothing is behind it")
            continue
        container = behind["spec"]["template"]["spec"]["containers"][0]
        names = {port["name"] for port in container["ports"]}
        for port in service["spec"]["ports"]:
            objects.expect(port["targetPort"] in names, service, f"no port {port['targetPort']}")
            objects.expect(port["targetPort"] != "admin", service, "shows the administration port")
    for outside in objects.of("Ingress"):
        for rule in outside["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                wanted = path["backend"]["service"]
                service = objects.named("Service", wanted["name"])
                ports = {port["name"] for port in service["spec"]["ports"]} if service else set()
                is_there = wanted["port"]["name"] in ports
                objects.expect(is_there, outside, f"nothing is behind {wanted}")


def check_scaling(objects, processes):
    for scaled in objects.of("ScaledObject"):
        name = scaled["spec"]["scaleTargetRef"]["name"].removeprefix("relink-")
        target = processes.get(name)
        if target is None or name not in SCALED:
            objects.complain(scaled, f"{name} is not to be scaled")
            continue
        objects.expect("replicas" not in target["spec"], scaled, "its target has a fixed number")
        for trigger in scaled["spec"]["triggers"]:
            queue = trigger["metadata"].get("queueName")
            objects.expect(queue == SCALED[name], scaled, f"looks at {queue}")
            wanted = objects.named("TriggerAuthentication", trigger["authenticationRef"]["name"])
            objects.expect(wanted is not None, scaled, "its authentication does not exist")
    for one in objects.of("TriggerAuthentication"):
        for reference in one["spec"]["secretTargetRef"]:
            objects.used_secrets.add((reference["name"], reference["key"]))


def known_secrets(path):
    known, problems = set(), []
    with open(path, encoding="utf-8") as source:
        for secret in filter(None, yaml.safe_load_all(source)):
            name = secret["metadata"]["name"]
            for key, value in secret["stringData"].items():
                known.add((name, key))
                if value != "":
                    problems.append(f"{path}: {name}: {key} has a value")
    return known, problems


def main(readme, secrets, *renderings):
    settings = Settings(readme)
    known, problems = known_secrets(secrets)
    used = set()
    for path in renderings:
        objects = Objects(path, settings)
        processes = check_processes(objects)
        check_services(objects, processes)
        check_scaling(objects, processes)
        if objects.of("Secret"):
            objects.problems.append(f"{path}: holds a secret itself")
        for name, key in sorted(objects.used_secrets - known):
            objects.problems.append(f"{path}: {secrets} does not tell of {name}, {key}")
        used |= objects.used_secrets
        problems += objects.problems
    problems += [f"{secrets}: {name}, {key} is used by nothing" for name, key in known - used]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

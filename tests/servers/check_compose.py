"""Checks the compose file: against Compose's published schema where that is at hand, its structure,
its profiles, and our own rules. What only Compose itself knows is left to `docker compose config`.

    check_compose.py docker-compose.yml README.md deploy/demo.env [WHEEL]

The wheel is that of check-jsonschema, which carries the schema.
"""

import json
import re
import sys
import zipfile

import yaml

from settings_table import Settings

CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
# Which services each profile adds; without a profile there are all roles and what they need.
PROFILES = {
    None: {"rabbitmq", "postgres", "migrate", "ingress", "worker", "scheduler", "portal"},
    "demo": {"sim"},
    "observability": {"prometheus", "grafana"},
}
# As long as a role may take to drain, where RELINK_DRAIN_SECONDS is not set.
DRAIN_S = 25
IN_WHEEL = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")


def check_service(name, service, file, complain):
    if "image" not in service and "build" not in service:
        complain(f"{name}: neither image nor build")
    if not re.search(r":[^:/]+$", service.get("image", "")) or service["image"].endswith(":latest"):
        complain(f"{name}: the image has no version")
    for port in service.get("ports", []):
        if not (isinstance(port, str) and port.startswith("127.0.0.1:")):
            complain(f"{name}: port {port} is not a string that binds to 127.0.0.1")
    for volume in service.get("volumes", []):
        source = str(volume).split(":")[0]
        if not source.startswith((".", "/")) and source not in file.get("volumes", {}):
            complain(f"{name}: volume {source} is not declared")
        if source.startswith(".") and not str(volume).endswith(":ro"):
            complain(f"{name}: may write to {source}")
    for key, value in service.get("environment", {}).items():
        if not isinstance(value, str):
            complain(f"{name}: {key} is not a string; quote it")
    test = service.get("healthcheck", {}).get("test", ["CMD"])
    if test[0] != "CMD":
        complain(f"{name}: its health check needs a shell")
    check_dependencies(name, service, file["services"], complain)


def check_dependencies(name, service, services, complain):
    for other, wanted in service.get("depends_on", {}).items():
        if other not in services:
            complain(f"{name}: depends on {other}, which does not exist")
            continue
        condition = wanted.get("condition")
        if condition not in CONDITIONS:
            complain(f"{name}: condition {condition!r} on {other} is unknown")
        if condition == "service_healthy" and "healthcheck" not in services[other]:
            complain(f"{name}: waits for {other} to be healthy, but that has no health check")
        of_other = set(services[other].get("profiles", []))
        if of_other and not set(service.get("profiles", [])) & of_other:
            complain(f"{name}: depends on {other}, which is there with {of_other} only")


def check_relink(name, service, settings, complain):
    """A service that runs our image."""
    role = service["command"][0]
    for key in service["environment"]:
        # One and the same block of settings is given to several roles.
        if key not in settings.readers:
            complain(f"{name}: {key} is no setting of Relink's")
    if role != "sim" and not any(role in settings.readers[key] for key in service["environment"]
                                 if key in settings.readers):
        complain(f"{name}: `relink {role}` reads none of its settings")
    if service.get("read_only") is not True or service.get("cap_drop") != ["ALL"]:
        complain(f"{name}: it may write, or keeps capabilities")
    if "no-new-privileges:true" not in service.get("security_opt", []):
        complain(f"{name}: it may gain privileges")
    if int(service.get("stop_grace_period", "10s").removesuffix("s")) <= DRAIN_S:
        complain(f"{name}: it is killed before it has drained")


def check_profiles(services, complain):
    found = {}
    for name, service in services.items():
        for profile in service.get("profiles", [None]):
            found.setdefault(profile, set()).add(name)
    for profile in found.keys() | PROFILES.keys():
        if found.get(profile) != PROFILES.get(profile):
            complain(f"profile {profile}: {found.get(profile)}, not {PROFILES.get(profile)}")


def check_variables(text, demo, complain):
    """What the file takes is given by demo.env, all of it and nothing else."""
    wanted = set()
    for name, kind, rest in VARIABLE.findall(text):
        wanted.add(name)
        if not kind or not rest:
            complain(f"${{{name}}} has neither a default nor a word on what to do without it")
    for name in wanted - demo.keys():
        complain(f"demo.env does not give {name}")
    for name in demo.keys() - wanted:
        complain(f"demo.env gives {name}, which the compose file does not take")


def interpolated(text, values):
    """The file as Compose reads it with these variables."""
    return VARIABLE.sub(lambda one: values.get(one[1], one[3] if one[2] == "-" else "given"), text)


def check_stripe(text, demo, complain):
    """The simulator is asked with demo.env, Stripe itself without; never the one with the other."""
    for given, where in ((demo, "http://sim:"), ({}, "https://api.stripe.com")):
        services = yaml.safe_load(interpolated(text, given))["services"]
        for name in PROFILES[None]:
            values = services[name].get("environment", {})
            base = values.get("RELINK_STRIPE_API_BASE")
            if base is not None and not base.startswith(where):
                complain(f"{name}: asks {base}, not {where}")
            if not given and any("sim:" in value for value in values.values()):
                complain(f"{name}: names the simulator, which is there with a profile only")
    sim = yaml.safe_load(interpolated(text, demo))["services"]["sim"]["environment"]
    for of_sim, of_others in (("API_KEY", "STRIPE_API_KEY"), ("WEBHOOK_SECRET", "WEBHOOK_SECRETS")):
        if sim[f"RELINK_SIM_{of_sim}"] != demo.get(f"RELINK_{of_others}"):
            complain(f"sim: RELINK_SIM_{of_sim} and RELINK_{of_others} of demo.env differ")


def check_schema(text, demo, wheel, complain):
    import jsonschema

    with zipfile.ZipFile(wheel) as archive:
        schema = json.loads(archive.read(IN_WHEEL))
    file = yaml.safe_load(interpolated(text, demo))
    for error in jsonschema.Draft202012Validator(schema).iter_errors(file):
        complain(f"{'.'.join(map(str, error.path))}: {error.message[:300]}")


def variables_in(path):
    with open(path, encoding="utf-8") as source:
        lines = [line.strip() for line in source if line.strip() and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def main(path, readme, demo, wheel=None):
    with open(path, encoding="utf-8") as source:
        text = source.read()
    file, problems, demo = yaml.safe_load(text), [], variables_in(demo)
    settings = Settings(readme)
    if not isinstance(file, dict) or not isinstance(file.get("services"), dict):
        problems.append("no services")
    else:
        for name, service in file["services"].items():
            check_service(name, service, file, problems.append)
            if service.get("image", "").startswith("relink:"):
                check_relink(name, service, settings, problems.append)
        check_profiles(file["services"], problems.append)
        check_variables(text, demo, problems.append)
        check_stripe(text, demo, problems.append)
        if wheel:
            check_schema(text, demo, wheel, problems.append)
    for problem in problems:
        print(f"{path}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

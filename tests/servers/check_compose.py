"""Checks the compose file where no Docker Compose is at hand: its structure and our own rules.

Not a validation against the whole Compose specification; `docker compose config` is that.
"""

import sys

import yaml

CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


def check_service(name, service, file, complain):
    if "image" not in service and "build" not in service:
        complain(f"{name}: neither image nor build")
    for port in service.get("ports", []):
        if not (isinstance(port, str) and port.startswith("127.0.0.1:")):
            complain(f"{name}: port {port} is not a string that binds to 127.0.0.1")
    for volume in service.get("volumes", []):
        source = str(volume).split(":")[0]
        if not source.startswith((".", "/")) and source not in file.get("volumes", {}):
            complain(f"{name}: volume {source} is not declared")
    for key, value in service.get("environment", {}).items():
        if not isinstance(value, str):
            complain(f"{name}: {key} is not a string; quote it")
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


def main(path):
    with open(path, encoding="utf-8") as source:
        file = yaml.safe_load(source)
    problems = []
    if not isinstance(file, dict) or not isinstance(file.get("services"), dict):
        problems.append("no services")
    else:
        for name, service in file["services"].items():
            check_service(name, service, file, problems.append)
    for problem in problems:
        print(f"{path}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

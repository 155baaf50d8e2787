"""Gives the settings of every process that deploy/ describes to the real binary, and hears whether
it takes them: `relink doctor ROLE` reads them as the role does. Nothing is reached; where they say
broker, database and Stripe are, there is a closed port of this machine.

    check_settings.py RELINK [KUBECTL]
"""

import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

from check_compose import interpolated, variables_in
from check_systemd import Unit

TOP = pathlib.Path(__file__).parents[2]
NOWHERE = {
    "RELINK_AMQP_URL": "amqp://user:password@127.0.0.1:1/%2f",
    "RELINK_DATABASE_URL": "postgres://user:password@127.0.0.1:1/relink",
    "RELINK_STRIPE_API_BASE": "http://127.0.0.1:1",
}
# What is in each file of a secret. Keys and their mode belong together.
SECRETS = {
    "amqp-url": NOWHERE["RELINK_AMQP_URL"],
    "database-url": NOWHERE["RELINK_DATABASE_URL"],
    "stripe-api-key": "sk_{mode}_example",
    "webhook-secrets": "whsec_example",
    "link-key": "0123456789abcdef0123456789abcdef",
    "api-tokens": f"read:{'0' * 64}",
}
# What deploy/README.md asks for in the files of an installation with systemd.
FILES = {
    "/etc/relink/rules.env": {"RELINK_PORTAL_URL": "https://relink.example.com"},
    "/etc/relink/portal.env": {
        "RELINK_PORTAL_BRAND": "Northwind Money",
        "RELINK_STRIPE_PUBLISHABLE_KEY": "pk_live_example",
        "RELINK_PORTAL_LISTEN": "127.0.0.1:8081",
    },
}
# Files that each installation has for itself.
OWN_FILES = ("RELINK_AMQP_TLS_CA_FILE", "RELINK_DATABASE_TLS_CA_FILE")
# Nothing in it but what does its work once; the doctor has no such role.
WITHOUT = {"migrate", "sim"}


def of_kubernetes(kubectl):
    overlay = TOP / "deploy" / "kubernetes" / "overlays" / "example"
    text = subprocess.run([kubectl, "kustomize", overlay], check=True, capture_output=True).stdout
    objects = [one for one in yaml.safe_load_all(text) if one]
    maps = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    for one in objects:
        if one["kind"] == "Deployment":
            container = one["spec"]["template"]["spec"]["containers"][0]
            environment = {}
            for source in container["envFrom"]:
                environment |= maps[source["configMapRef"]["name"]]
            environment |= {each["name"]: each["value"] for each in container["env"]}
            yield f"kubernetes {one['metadata']['name']}", container["args"], environment


def of_systemd():
    folder = TOP / "deploy" / "systemd"
    for path in sorted(folder.glob("*.service")):
        unit = Unit(path, folder / "relink-.service.d" / "hardening.conf")
        environment = dict(each.split("=", 1) for each in unit.all("Environment"))
        environment = {name: value.replace("%i", "1") for name, value in environment.items()}
        for file in unit.all("EnvironmentFile"):
            environment |= FILES.get(file, {})
        yield f"systemd {path.name}", unit.one("ExecStart").split()[1:], environment


def of_compose():
    text = (TOP / "docker-compose.yml").read_text(encoding="utf-8")
    demo = variables_in(TOP / "deploy" / "demo.env")
    # By default nothing but what has to be given; that of a test account looks like the demo's.
    keys = ("RELINK_STRIPE_API_KEY", "RELINK_STRIPE_PUBLISHABLE_KEY", "RELINK_WEBHOOK_SECRETS")
    given = {"demo": demo, "Stripe": {name: demo[name] for name in keys}}
    for which, variables in given.items():
        for name, service in yaml.safe_load(interpolated(text, variables))["services"].items():
            if service["image"].startswith("relink:"):
                yield f"compose with {which}: {name}", service["command"], service["environment"]


def problems_of(program, what, arguments, environment, folder):
    mode = "test" if "_test_" in environment.get("RELINK_STRIPE_PUBLISHABLE_KEY", "") else "live"
    settings = {name: value for name, value in environment.items() if name not in OWN_FILES}
    for name, value in NOWHERE.items():
        if not settings.get(name, "sqlite:").startswith("sqlite:"):
            settings[name] = value
    settings.setdefault("RELINK_STRIPE_API_BASE", NOWHERE["RELINK_STRIPE_API_BASE"])
    for name, value in settings.items():
        if secret := re.fullmatch(r"(?:%d|/etc/relink/secrets)/([a-z-]+)", value):
            settings[name] = str(folder / mode / secret[1])
    done = subprocess.run([program, "doctor", *arguments, "--json"], env=settings, check=False,
                          capture_output=True, text=True, timeout=120)
    if done.returncode not in (0, 1):
        return [f"{what}: {done.stderr}"]
    checks = json.loads(done.stdout)["checks"]
    checks = [one for one in checks if one["check"].startswith("settings.")]
    if not any(one["level"] == "ok" for one in checks):
        return [f"{what}: nothing was looked at"]
    return [f"{what}: {one['check']}: {one['found']}" for one in checks
            if one["level"] in ("fail", "warn")]


def main(program, kubectl=None):
    processes = [*of_systemd(), *of_compose(), *(of_kubernetes(kubectl) if kubectl else [])]
    processes = [one for one in processes if one[1][0] not in WITHOUT]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(4) as pool:
        folder = pathlib.Path(folder)
        for mode in ("test", "live"):
            (folder / mode).mkdir()
            for name, text in SECRETS.items():
                (folder / mode / name).write_text(text.format(mode=mode), encoding="utf-8")
        looks = [pool.submit(problems_of, program, *one, folder) for one in processes]
        problems = [problem for look in looks for problem in look.result()]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"the settings of {len(processes)} processes")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

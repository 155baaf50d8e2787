"""Holds deploy/rabbitmq/topology.json against what `relink migrate` declares, at a real broker.

    check_rabbitmq.py RELINK [--print]

What migrate declares in an empty virtual host has to be the file, and in a virtual host made from
the file migrate and doctor must find nothing to do. `--print` prints what the file has to be.
It needs RELINK_TEST_AMQP_URL, RELINK_TEST_MANAGEMENT_URL and RELINK_TEST_DATABASE_URL.
"""

import base64
import json
import os
import pathlib
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

FILE = pathlib.Path(__file__).parents[2] / "deploy" / "rabbitmq" / "topology.json"
LISTS = ("exchanges", "queues", "bindings")
# Of what the broker tells, what the file holds; the rest depends on its version.
FIELDS = {
    "exchanges": ("name", "type", "durable", "auto_delete", "internal", "arguments"),
    "queues": ("name", "durable", "auto_delete", "arguments"),
    "bindings": ("source", "destination", "destination_type", "routing_key", "arguments"),
}
DATABASE = "relink_check_rabbitmq"
DECLARED, IMPORTED = "relink-check-declared", "relink-check-imported"


class Broker:
    def __init__(self):
        self.url = urllib.parse.urlsplit(os.environ["RELINK_TEST_AMQP_URL"])
        self.management = os.environ["RELINK_TEST_MANAGEMENT_URL"].rstrip("/")

    def call(self, method, path, body=None):
        user = ":".join(map(urllib.parse.unquote, (self.url.username, self.url.password)))
        request = urllib.request.Request(
            f"{self.management}/api/{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json",
                     "authorization": "Basic " + base64.b64encode(user.encode()).decode()})
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else None

    def make(self, vhost):
        self.call("PUT", f"vhosts/{vhost}", {})
        user = urllib.parse.quote(self.url.username)
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self.call("PUT", f"permissions/{vhost}/{user}", everything)

    def url_of(self, vhost):
        return self.url._replace(path=f"/{vhost}").geturl()


def relink(program, arguments, broker, vhost, database):
    """The binary's answer; how it ended is the caller's to judge."""
    environment = {
        "RELINK_AMQP_URL": broker.url_of(vhost),
        "RELINK_DATABASE_URL": database,
        "RELINK_MANAGEMENT_URL": broker.management,
    }
    return subprocess.run([program, *arguments], env=environment, capture_output=True, text=True,
                          timeout=120, check=False)


def tidied(definitions):
    """In one order, without what belongs to a broker's version."""
    tidy = {}
    for name in LISTS:
        entries = [{"vhost": "/"} | {field: one[field] for field in FIELDS[name]}
                   for one in definitions[name]]
        tidy[name] = sorted(entries, key=lambda one: json.dumps(list(one.values())))
    return tidy


def written(definitions):
    """An object a line, so that a change is seen."""
    lists = []
    for name, entries in definitions.items():
        lines = ",\n".join(f"    {json.dumps(one)}" for one in entries)
        lists.append(f'  "{name}": [\n{lines}\n  ]')
    return "{\n" + ",\n".join(lists) + "\n}\n"


def problems_of(program, broker, database):
    broker.make(DECLARED)
    done = relink(program, ["migrate"], broker, DECLARED, database)
    if done.returncode != 0:
        return [f"relink migrate: {done.stderr}"]
    declared = broker.call("GET", f"definitions/{DECLARED}")
    if "--print" in sys.argv:
        print(written(tidied(declared)), end="")
        return []
    file = json.loads(FILE.read_text(encoding="utf-8"))
    problems = [] if FILE.read_text(encoding="utf-8") == written(tidied(declared)) else [
        f"{FILE.name} is not what `relink migrate` declares; write what --print prints"]
    if declared.get("policies"):
        problems.append("migrate has made policies, of which the file would have none")
    broker.make(IMPORTED)
    broker.call("POST", f"definitions/{IMPORTED}", file)
    done = relink(program, ["migrate", "--dry-run", "--json"], broker, IMPORTED, database)
    if done.returncode != 0 or json.loads(done.stdout)["steps"]:
        problems.append(f"after an import migrate wants: {done.stdout}{done.stderr}")
    done = relink(program, ["doctor", "--json"], broker, IMPORTED, database)
    checks = {one["check"]: one for one in json.loads(done.stdout)["checks"]}
    for name in ("broker.topology", "broker.bindings", "broker.policies", "broker.unused"):
        if checks[name]["level"] != "ok":
            problems.append(f"after an import the doctor says: {checks[name]}")
    return problems


def main(program):
    broker, server = Broker(), os.environ["RELINK_TEST_DATABASE_URL"]
    database = urllib.parse.urlsplit(server)._replace(path=f"/{DATABASE}").geturl()

    def tidy_up():
        for vhost in (DECLARED, IMPORTED):
            try:
                broker.call("DELETE", f"vhosts/{vhost}")
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
        subprocess.run(["psql", "-qd", server, "-c", f"DROP DATABASE IF EXISTS {DATABASE}"],
                       check=True, stderr=subprocess.DEVNULL)

    tidy_up()
    try:
        subprocess.run(["psql", "-qd", server, "-c", f"CREATE DATABASE {DATABASE}"], check=True)
        problems = problems_of(program, broker, database)
    finally:
        tidy_up()
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

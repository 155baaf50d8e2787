"""Our own rules for the units of deploy/systemd; systemd-analyze looks at the rest.

    check_systemd.py README.md FOLDER
"""

import pathlib
import re
import sys

from settings_table import Settings

# Files with settings of an installation, and what every one of them has to hold at the least.
RULES, PORTAL = "/etc/relink/rules.env", "/etc/relink/portal.env"
NEEDED = {
    "worker-lifecycle": RULES, "worker-upcoming": RULES, "scheduler": RULES, "portal": PORTAL,
}
# As long as a role may take to drain, where RELINK_DRAIN_SECONDS is not set.
DRAIN_S = 25


class Unit:
    """A unit, and what its folder says for all of them."""

    def __init__(self, path, shared):
        self.name = path.stem.rstrip("@").removeprefix("relink-")
        self.path, self.values = path, {}
        for source in (path, shared):
            for line in source.read_text(encoding="utf-8").splitlines():
                if "=" in line and not line.startswith("#"):
                    key, value = line.split("=", 1)
                    self.values.setdefault(key, []).append(value)

    def all(self, key):
        return self.values.get(key, [])

    def one(self, key):
        values = self.all(key)
        return values[0] if len(values) == 1 else None


def problems_of(unit, settings):
    command = (unit.one("ExecStart") or "").split()
    wanted = ["/usr/local/bin/relink", *unit.name.split("-")]
    if command != wanted:
        yield f"starts {command}, not {wanted}"
        return
    environment = dict(each.split("=", 1) for each in unit.all("Environment"))
    for name, value in environment.items():
        if problem := settings.problem(command[1], name):
            yield problem
        # The address of an embedded database holds no password.
        if settings.is_secret(name) and not value.startswith("sqlite:"):
            yield f"{name} has to come from a credential"
    given = {f"%d/{each.split(':')[0]}" for each in unit.all("LoadCredential")}
    read = {each for name, each in environment.items() if settings.is_secret_file(name)}
    for path in given ^ read:
        yield f"{path} is either not loaded or not read"
    for each in unit.all("LoadCredential"):
        name, path = each.split(":")
        if path != f"/etc/relink/{unit.name}/{name}":
            yield f"the credential {name} comes from {path}"
    if unit.name in NEEDED and NEEDED[unit.name] not in unit.all("EnvironmentFile"):
        yield f"does not read {NEEDED[unit.name]}"
    if ("RELINK_LINK_KEY_FILE" in environment) != (RULES in unit.all("EnvironmentFile")):
        yield f"RELINK_LINK_KEY_FILE and {RULES} belong together"
    if unit.one("Type") == "oneshot":
        return
    seconds = re.fullmatch(r"(\d+)s", unit.one("TimeoutStopSec") or "")
    if not seconds or int(seconds[1]) <= DRAIN_S:
        yield "is killed before it has drained"
    if (unit.one("Restart"), unit.one("RestartPreventExitStatus")) != ("always", "64"):
        yield "has to be started again, but for code 64"
    if unit.one("StartLimitIntervalSec") != "0":
        yield "is given up after some starts"
    if "RELINK_ADMIN_LISTEN" not in environment:
        yield "has no administration port of its own"


def main(readme, folder):
    settings, folder = Settings(readme), pathlib.Path(folder)
    shared = folder / "relink-.service.d" / "hardening.conf"
    units = [Unit(path, shared) for path in sorted(folder.glob("*.service"))]
    problems = []
    for unit in units:
        problems += [f"{unit.path.name}: {text}" for text in problems_of(unit, settings)]
    listens = [each for unit in units for each in unit.all("Environment") if "_LISTEN=" in each]
    problems += [f"{each}: two units listen there" for each in listens if listens.count(each) > 1]
    if len(units) != 8:
        problems.append(f"{folder}: {len(units)} units are not one for each role, and migrate")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

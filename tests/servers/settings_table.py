"""The settings that there are, as README.md lists them; a test holds that list against --help."""

import re

ROW = re.compile(r"^\| `(RELINK_[A-Z0-9_]+)` \| (.+?) \| ([a-z, -]+) \| ")


class Settings:
    def __init__(self, readme):
        self.readers = {}
        with open(readme, encoding="utf-8") as source:
            for line in source:
                if row := ROW.match(line):
                    self.readers[row[1]] = set(row[3].split(", "))
        if "RELINK_AMQP_URL_FILE" not in self.readers:
            raise SystemExit(f"{readme}: the table of settings was not found")

    def is_secret(self, name):
        """Whether it may come from a file, which is for secrets."""
        return f"{name}_FILE" in self.readers

    def is_secret_file(self, name):
        return name.endswith("_FILE") and name.removesuffix("_FILE") in self.readers

    def problem(self, role, name):
        """Why a process of this role must not be given the setting, if so."""
        if name not in self.readers:
            return f"{name} is no setting of Relink's"
        if role not in self.readers[name]:
            return f"{name} is not read by `relink {role}`"
        return None

-- What Relink keeps. Names and columns are what operators query and the same as in PostgreSQL;
-- `state` is the whole truth and the columns beside it are projections of it.
--
-- `…_ms` are Unix milliseconds of our clock, `…_s` Unix seconds of Stripe's, `day` counts days
-- from 1970-01-01. Primary keys start with the id, so that one id can be found in every scope.

CREATE TABLE accounts (
    scope                   TEXT NOT NULL,
    id                      TEXT NOT NULL,
    home                    TEXT NOT NULL,
    provisional             INTEGER NOT NULL,
    status                  TEXT,
    cause                   TEXT,
    action                  TEXT,
    expected_deactivation_s INTEGER,
    holder                  TEXT,
    last4                   TEXT,
    version                 INTEGER NOT NULL,
    state                   TEXT NOT NULL,
    updated_ms              INTEGER NOT NULL,
    PRIMARY KEY (id, scope)
);
CREATE INDEX accounts_home ON accounts (home, scope);
-- In the order of reconciling; each observation moves its account to the end.
CREATE INDEX accounts_heard ON accounts (updated_ms, id, scope);

CREATE TABLE authorizations (
    scope                   TEXT NOT NULL,
    id                      TEXT NOT NULL,
    provisional             INTEGER NOT NULL,
    health                  TEXT NOT NULL,
    holder                  TEXT,
    institution_name        TEXT,
    expected_deactivation_s INTEGER,
    next_due_ms             INTEGER,
    superseded_by           TEXT,
    case_open               INTEGER NOT NULL,
    state                   TEXT NOT NULL,
    updated_ms              INTEGER NOT NULL,
    PRIMARY KEY (id, scope)
);
CREATE INDEX authorizations_due ON authorizations (next_due_ms) WHERE next_due_ms IS NOT NULL;
CREATE INDEX authorizations_holder ON authorizations (holder, scope) WHERE holder IS NOT NULL;
CREATE INDEX authorizations_health ON authorizations (health, id, scope) WHERE NOT provisional;

-- The ledger.
CREATE TABLE inbox (
    day        INTEGER NOT NULL,
    id         TEXT NOT NULL,
    scope      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    at_s       INTEGER NOT NULL,
    verdict    TEXT NOT NULL,
    decided_ms INTEGER NOT NULL,
    PRIMARY KEY (id, scope, day)
) WITHOUT ROWID;
CREATE INDEX inbox_day ON inbox (day);

CREATE TABLE history (
    seq         INTEGER PRIMARY KEY,
    day         INTEGER NOT NULL,
    scope       TEXT NOT NULL,
    home        TEXT NOT NULL,
    provisional INTEGER NOT NULL,
    account     TEXT,
    input       TEXT NOT NULL, -- without an index: operators look for it within one day
    kind        TEXT NOT NULL,
    at_s        INTEGER NOT NULL,
    decided_ms  INTEGER NOT NULL,
    verdict     TEXT NOT NULL,
    note        TEXT NOT NULL,
    commands    TEXT NOT NULL -- a JSON list
);
CREATE INDEX history_home ON history (home, scope, decided_ms);
CREATE INDEX history_day ON history (day);

CREATE TABLE outbox (
    id               TEXT PRIMARY KEY,
    kind             TEXT NOT NULL,
    scope            TEXT NOT NULL,
    correlation      TEXT NOT NULL,
    decided_ms       INTEGER NOT NULL,
    traceparent      TEXT,
    body             BLOB NOT NULL,
    claimed_until_ms INTEGER NOT NULL
);
CREATE INDEX outbox_claimed ON outbox (claimed_until_ms);

CREATE TABLE cases (
    scope     TEXT NOT NULL,
    home      TEXT NOT NULL,
    id        TEXT NOT NULL,
    reason    TEXT NOT NULL,
    opened_ms INTEGER NOT NULL,
    closed_ms INTEGER,
    outcome   TEXT,
    prompts   INTEGER NOT NULL,
    reminders INTEGER NOT NULL,
    state     TEXT NOT NULL,
    PRIMARY KEY (id, scope)
);
CREATE INDEX cases_home ON cases (home, scope, opened_ms);
CREATE INDEX cases_open ON cases (reason) WHERE closed_ms IS NULL;

-- Messages that the in-process bus set aside, complete, so that they can be requeued: the only
-- place where a body is stored.
CREATE TABLE parked (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    queue           TEXT NOT NULL,
    id              TEXT,
    kind            TEXT,
    routing_key     TEXT NOT NULL,
    correlation     TEXT,
    reason          TEXT NOT NULL,
    error           TEXT NOT NULL,
    first_failed_ms INTEGER NOT NULL,
    last_failed_ms  INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    headers         TEXT NOT NULL,
    body            BLOB NOT NULL
);

-- Work that one process at a time does, and until when somebody has it.
CREATE TABLE claims (
    work             TEXT PRIMARY KEY,
    claimant         TEXT NOT NULL,
    claimed_until_ms INTEGER NOT NULL
);

-- One row that is written to find out whether writing works.
CREATE TABLE probes (
    id        INTEGER PRIMARY KEY,
    probed_ms INTEGER NOT NULL
);

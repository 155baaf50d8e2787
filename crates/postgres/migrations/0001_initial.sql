-- What Relink keeps. Names and columns are what operators query; `state` is the whole truth and
-- the columns beside it are projections of it. It is always read and written as a whole: `json`
-- keeps the text as it is, where `jsonb` would take it apart and put it together every time.
--
-- `…_ms` are Unix milliseconds of our clock, `…_s` Unix seconds of Stripe's. Ids are compared as
-- bytes (COLLATE "C"): cheaper, and the same order on every server. Primary keys start with the
-- id, so that one id can be found in every scope.

CREATE TABLE accounts (
    scope                   text COLLATE "C" NOT NULL,
    id                      text COLLATE "C" NOT NULL,
    home                    text COLLATE "C",          -- null: only a lock
    provisional             boolean,
    status                  text,
    cause                   text,
    action                  text,
    expected_deactivation_s bigint,
    holder                  text COLLATE "C",
    last4                   text,
    version                 bigint NOT NULL DEFAULT 0,
    past_authorizations     text[],                    -- where it was before
    state                   json,
    updated_ms              bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (id, scope)
) WITH (fillfactor = 80);                              -- room for updates within the page (HOT)
CREATE INDEX accounts_home ON accounts (home, scope);
-- In the order of reconciling; each observation moves its account to the end, and so costs an
-- entry here and is no update within the page.
CREATE INDEX accounts_heard ON accounts (updated_ms, id, scope);

CREATE TABLE authorizations (
    scope                   text COLLATE "C" NOT NULL,
    id                      text COLLATE "C" NOT NULL, -- of a provisional home: its account's
    provisional             boolean NOT NULL,
    health                  text,
    holder                  text COLLATE "C",
    institution_name        text,
    expected_deactivation_s bigint,
    next_due_ms             bigint,
    superseded_by           text COLLATE "C",
    case_open               boolean NOT NULL DEFAULT false,
    state                   json,                      -- null: only a lock
    updated_ms              bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (id, scope)
) WITH (fillfactor = 80);
CREATE INDEX authorizations_due ON authorizations (next_due_ms) WHERE next_due_ms IS NOT NULL;
CREATE INDEX authorizations_holder ON authorizations (holder, scope) WHERE holder IS NOT NULL;
CREATE INDEX authorizations_health ON authorizations (health, id, scope) WHERE NOT provisional;

-- Only locks: a transaction that links a new account of a holder and one that deactivates an old
-- one have no row in common, and yet must see each other.
CREATE TABLE holders (
    scope text COLLATE "C" NOT NULL,
    id    text COLLATE "C" NOT NULL,
    PRIMARY KEY (id, scope)
);

-- The ledger, by the day of the event's `created`; a day is expired by dropping its partition.
CREATE TABLE inbox (
    day        date NOT NULL,
    id         text COLLATE "C" NOT NULL,
    scope      text COLLATE "C" NOT NULL,
    kind       text NOT NULL,
    at_s       bigint NOT NULL,
    verdict    text NOT NULL,
    decided_ms bigint NOT NULL,
    PRIMARY KEY (id, scope, day)
) PARTITION BY RANGE (day);
CREATE TABLE inbox_default PARTITION OF inbox DEFAULT; -- so that an odd `created` never fails

CREATE SEQUENCE history_seq CACHE 64;
CREATE TABLE history (
    day         date NOT NULL,
    seq         bigint NOT NULL DEFAULT nextval('history_seq'),
    scope       text COLLATE "C" NOT NULL,
    home        text COLLATE "C" NOT NULL,
    provisional boolean NOT NULL,
    account     text COLLATE "C",
    input       text NOT NULL, -- without an index: operators look for it within one day
    kind        text NOT NULL,
    at_s        bigint NOT NULL,
    decided_ms  bigint NOT NULL,
    verdict     text NOT NULL,
    note        text NOT NULL,
    commands    text[] NOT NULL
) PARTITION BY RANGE (day);
CREATE INDEX history_home ON history (home, scope, decided_ms);
CREATE TABLE history_default PARTITION OF history DEFAULT;

CREATE TABLE outbox (
    id               text COLLATE "C" PRIMARY KEY,
    kind             text NOT NULL,
    scope            text NOT NULL,
    correlation      text NOT NULL,
    decided_ms       bigint NOT NULL,
    traceparent      text,
    body             bytea NOT NULL,
    claimed_until_ms bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);        -- rows live for milliseconds
CREATE INDEX outbox_claimed ON outbox (claimed_until_ms);

CREATE TABLE cases (
    scope     text COLLATE "C" NOT NULL,
    home      text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    reason    text NOT NULL,
    opened_ms bigint NOT NULL,
    closed_ms bigint,
    outcome   text,
    prompts   bigint NOT NULL,
    reminders bigint NOT NULL,
    state     json NOT NULL,
    PRIMARY KEY (id, scope)
) WITH (fillfactor = 80);
CREATE INDEX cases_home ON cases (home, scope, opened_ms);
CREATE INDEX cases_open ON cases (reason) WHERE closed_ms IS NULL;

-- Messages that an in-process bus set aside (a broker keeps its own), complete, so that they can
-- be requeued: the only place where a body is stored.
CREATE TABLE parked (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue           text NOT NULL,
    id              text,
    kind            text,
    routing_key     text NOT NULL,
    correlation     text,
    reason          text NOT NULL,
    error           text NOT NULL,
    first_failed_ms bigint NOT NULL,
    last_failed_ms  bigint NOT NULL,
    attempts        integer NOT NULL,
    headers         jsonb NOT NULL,
    body            bytea NOT NULL
);

-- Work that one process at a time does, and until when somebody has it.
CREATE TABLE claims (
    work             text PRIMARY KEY,
    claimant         text NOT NULL,
    claimed_until_ms bigint NOT NULL
);

-- One row that is written to find out whether writing works.
CREATE TABLE probes (
    id        integer PRIMARY KEY,
    probed_ms bigint NOT NULL
);

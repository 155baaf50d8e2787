-- Fewer pages to write for each event. Inbox and outbox no longer begin with the id: one id is
-- looked for day by day, and commands are not looked for by theirs.
--
-- The inbox is written anew, so the step takes time and room as it is long.

-- Accounts by the day on which they were last heard of: an observation more on the same day
-- changes no index.
DROP INDEX accounts_heard;
ALTER TABLE accounts ADD COLUMN heard_day INTEGER NOT NULL DEFAULT 0; -- of updated_ms
UPDATE accounts SET heard_day = updated_ms / 86400000;
CREATE INDEX accounts_heard ON accounts (heard_day, id, scope);

-- The ledger by day, then by id, so that no other index needs to know the day.
ALTER TABLE inbox RENAME TO inbox_by_id;
CREATE TABLE inbox (
    day        INTEGER NOT NULL,
    id         TEXT NOT NULL,
    scope      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    at_s       INTEGER NOT NULL,
    verdict    TEXT NOT NULL,
    decided_ms INTEGER NOT NULL,
    PRIMARY KEY (day, id, scope)
) WITHOUT ROWID;
INSERT INTO inbox SELECT day, id, scope, kind, at_s, verdict, decided_ms FROM inbox_by_id
    ORDER BY 1, 2, 3;
DROP TABLE inbox_by_id;

-- Commands in the order in which they were committed. None is looked for by its id, and one that
-- is decided again while it waits goes out twice under the same id, as after a crash.
ALTER TABLE outbox RENAME TO outbox_by_id;
CREATE TABLE outbox (
    seq              INTEGER PRIMARY KEY,
    id               TEXT NOT NULL,
    kind             TEXT NOT NULL,
    scope            TEXT NOT NULL,
    correlation      TEXT NOT NULL,
    decided_ms       INTEGER NOT NULL,
    traceparent      TEXT,
    body             BLOB NOT NULL,
    claimed_until_ms INTEGER NOT NULL
);
INSERT INTO outbox (id, kind, scope, correlation, decided_ms, traceparent, body, claimed_until_ms)
    SELECT id, kind, scope, correlation, decided_ms, traceparent, body, claimed_until_ms
    FROM outbox_by_id ORDER BY decided_ms, id;
DROP TABLE outbox_by_id;
CREATE INDEX outbox_claimed ON outbox (claimed_until_ms);

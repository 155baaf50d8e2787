-- The order of reconciling to the day: within a day, an observation changes no indexed column of
-- its account and is an update within the page (HOT), where the order to the millisecond cost an
-- entry in every index of the table.

DROP INDEX accounts_heard;
ALTER TABLE accounts
    ADD COLUMN heard_day bigint GENERATED ALWAYS AS (updated_ms / 86400000) STORED;
CREATE INDEX accounts_heard ON accounts (heard_day, id, scope);

-- What the scheduler shows as metrics every few seconds is read off an index.

CREATE INDEX authorizations_expected ON authorizations (expected_deactivation_s)
    WHERE expected_deactivation_s IS NOT NULL;
-- The index of healths that lists use is partial, and SQLite does not count off such a one.
CREATE INDEX authorizations_count ON authorizations (health);
CREATE INDEX cases_opened ON cases (opened_ms);

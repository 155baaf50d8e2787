-- What the scheduler shows as metrics every few seconds is read off an index.

CREATE INDEX authorizations_expected ON authorizations (expected_deactivation_s)
    WHERE expected_deactivation_s IS NOT NULL;
-- Beside authorizations_health, which has the others.
CREATE INDEX authorizations_provisional ON authorizations (health) WHERE provisional;
CREATE INDEX cases_opened ON cases (opened_ms);

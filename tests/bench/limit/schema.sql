CREATE TABLE inbox (
    event_id text PRIMARY KEY,
    type text NOT NULL,
    account_id text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    payload bytea NOT NULL
);
CREATE TABLE authz (
    id text PRIMARY KEY,
    status smallint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 0,
    last_event_at bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE TABLE account (
    id text PRIMARY KEY,
    authz_id text NOT NULL,
    status smallint NOT NULL,
    version bigint NOT NULL DEFAULT 0,
    last_event_at bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE TABLE outbox (
    id bigserial PRIMARY KEY,
    routing_key text NOT NULL,
    payload bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

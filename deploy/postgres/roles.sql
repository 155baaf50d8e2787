-- The users of Relink's processes, one for each role; ingress has no database. Run it once in the
-- database that Relink shall use, as a user who may create roles and owns that database, or as a
-- superuser. It may be run again. Then give each a password, for instance with psql:
--
--     psql -d relink -f deploy/postgres/roles.sql
--     psql -d relink -c '\password relink_owner'
--     RELINK_DATABASE_URL=postgres://relink_owner:…@… relink migrate --database-only
--     psql -d relink -U relink_owner -f deploy/postgres/grants.sql      (after each migrate)
--
-- What each may do is in grants.sql.

DO $$
DECLARE
    named text;
BEGIN
    FOREACH named IN ARRAY ARRAY[
        'relink_owner',       -- relink migrate: owns the tables
        'relink_worker',      -- relink worker lifecycle upcoming, and all three together
        'relink_followup',    -- relink worker followup, in a process of its own
        'relink_scheduler',   -- relink scheduler
        'relink_portal',      -- relink portal
        'relink_operator',    -- commands that only look
        'relink_desk',        -- relink parked drop --write
        'relink_standalone'   -- relink standalone over PostgreSQL
    ] LOOP
        IF to_regrole(named) IS NULL THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE', named);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), named);
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', named);
    END LOOP;
    -- Nobody else has any business here; up to PostgreSQL 14 everybody may make tables.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO relink_owner;

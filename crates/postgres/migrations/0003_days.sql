-- Partitions are made and dropped by functions that run as the owner of the tables, so that the
-- scheduler needs no right to change or drop any other.

CREATE FUNCTION relink_day_table(parent text, of_day date) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF parent NOT IN ('inbox', 'history') THEN
        RAISE EXCEPTION '% has no partition for each day', parent USING ERRCODE = '22023';
    END IF;
    RETURN parent || to_char(of_day, '_YYYYMMDD');
END $$;

-- A partition is filled with what the default one holds for the day, then attached: attaching
-- locks writers out of the default partition only, where CREATE … PARTITION OF would lock the
-- whole table. The default partition is locked first, so that nothing for this day gets in
-- between; the advisory lock makes several schedulers take turns.
CREATE FUNCTION relink_make_day(parent text, of_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    named text := relink_day_table(parent, of_day);
BEGIN
    PERFORM pg_advisory_xact_lock(7260515118);
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I (LIKE %I INCLUDING DEFAULTS INCLUDING INDEXES)',
        named, parent);
    IF NOT (SELECT relispartition FROM pg_class WHERE oid = to_regclass(quote_ident(named))) THEN
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || '_default');
        EXECUTE format(
            'WITH moved AS (DELETE FROM %I WHERE day = %L RETURNING *) '
            'INSERT INTO %I SELECT * FROM moved',
            parent || '_default', of_day, named);
        EXECUTE format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            parent, named, of_day, of_day + 1);
    END IF;
END $$;

-- Locks the whole table for the moment of the drop; DETACH CONCURRENTLY, which does not, is
-- refused beside a default partition.
CREATE FUNCTION relink_drop_day(parent text, of_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS %I', relink_day_table(parent, of_day));
END $$;

CREATE FUNCTION relink_expire_default(parent text, first_kept date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM relink_day_table(parent, first_kept);
    EXECUTE format('DELETE FROM %I WHERE day < %L', parent || '_default', first_kept);
END $$;

-- What runs as its owner must not be led to other tables by its caller: the schema is fixed, and
-- temporary tables come last. And nobody may call it who was not permitted to.
DO $$
DECLARE
    named text;
BEGIN
    FOREACH named IN ARRAY ARRAY[
        'relink_day_table', 'relink_make_day', 'relink_drop_day', 'relink_expire_default'
    ] LOOP
        EXECUTE format(
            'ALTER FUNCTION %I(text, date) SET search_path = %I, pg_temp', named, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %I(text, date) FROM PUBLIC', named);
    END LOOP;
END $$;

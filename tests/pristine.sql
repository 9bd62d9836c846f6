-- Puts a used test database back to what the migrations left. Lives in the tests' template only.
CREATE SCHEMA test_pristine;

CREATE VIEW test_pristine.tables AS
SELECT c.oid, n.nspname AS schema, c.relname AS name
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'test_pristine')
  AND n.nspname NOT LIKE 'pg\_%';

CREATE TABLE test_pristine.sequence (schema name, name name, last_value bigint);
CREATE TABLE test_pristine.kept (schema name, name name, copy name);

-- Remember the rows the migrations wrote and where the sequences stand.
CREATE FUNCTION test_pristine.keep() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
    filled boolean;
    copies int := 0;
BEGIN
    FOR t IN SELECT * FROM test_pristine.tables LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I)', t.schema, t.name) INTO filled;
        IF filled THEN
            copies := copies + 1;
            EXECUTE format('CREATE TABLE test_pristine.copy_%s AS TABLE %I.%I', copies, t.schema, t.name);
            INSERT INTO test_pristine.kept VALUES (t.schema, t.name, 'copy_' || copies);
        END IF;
    END LOOP;
    INSERT INTO test_pristine.sequence SELECT schemaname, sequencename, last_value FROM pg_sequences;
END $$;

CREATE FUNCTION test_pristine.put_back() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
    filled boolean;
    columns text;
BEGIN
    SET LOCAL session_replication_role = replica;  -- no trigger and no foreign key stands in the way
    FOR t IN SELECT * FROM test_pristine.tables LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I)', t.schema, t.name) INTO filled;
        IF pg_relation_size(t.oid) > 262144 THEN
            EXECUTE format('TRUNCATE %I.%I', t.schema, t.name);
        ELSIF filled THEN
            EXECUTE format('DELETE FROM %I.%I', t.schema, t.name);
        END IF;
    END LOOP;
    FOR t IN SELECT * FROM test_pristine.kept LOOP
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
        FROM pg_attribute
        WHERE attrelid = format('%I.%I', t.schema, t.name)::regclass
          AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
        EXECUTE format('INSERT INTO %I.%I (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM test_pristine.%I',
                       t.schema, t.name, columns, columns, t.copy);
    END LOOP;
    FOR t IN
        SELECT k.schema, k.name, k.last_value, s.start_value
        FROM test_pristine.sequence k
        JOIN pg_sequences s ON s.schemaname = k.schema AND s.sequencename = k.name
        WHERE s.last_value IS DISTINCT FROM k.last_value
    LOOP
        PERFORM setval(format('%I.%I', t.schema, t.name)::regclass,
                       coalesce(t.last_value, t.start_value), t.last_value IS NOT NULL);
    END LOOP;
END $$;

-- Two databases with the same one have the same tables, columns, constraints, triggers, functions and rights.
CREATE FUNCTION test_pristine.fingerprint() RETURNS text LANGUAGE sql AS $$
    SELECT md5(concat_ws('|',
        (SELECT string_agg(format('%s %s %s', relname, relkind, relacl), ',' ORDER BY oid)
         FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'i', 'I', 'S')),
        (SELECT count(*) FROM pg_attribute WHERE attrelid >= 16384 AND NOT attisdropped),
        (SELECT string_agg(format('%s %s', tgname, tgenabled), ',' ORDER BY oid) FROM pg_trigger WHERE oid >= 16384),
        (SELECT string_agg(format('%s %s', proname, md5(prosrc)), ',' ORDER BY oid) FROM pg_proc WHERE oid >= 16384),
        (SELECT string_agg(format('%s %s', conname, pg_get_constraintdef(oid)), ',' ORDER BY oid)
         FROM pg_constraint WHERE oid >= 16384),
        (SELECT string_agg(format('%s %s', nspname, nspacl), ',' ORDER BY oid) FROM pg_namespace WHERE oid >= 16384)
    ))
$$;

-- What the exporter asks PostgreSQL, as the administrator.

-- name: database
-- The counters of the house's database since its statistics began.
SELECT xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, tup_fetched,
       tup_inserted, tup_updated, tup_deleted, deadlocks, temp_bytes,
       pg_database_size(datname) AS size_bytes
  FROM pg_stat_database
 WHERE datname = current_database();

-- name: sessions
-- Sessions by service and state, and how old the oldest transaction of each is.
SELECT coalesce(nullif(application_name, ''), 'other') AS application, coalesce(state, 'none') AS state,
       count(*) AS sessions,
       coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 AS oldest_s
  FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
 GROUP BY 1, 2;

-- name: waiting
-- Sessions that wait for a lock.
SELECT count(*) FROM pg_locks WHERE NOT granted;

-- name: settings
-- The most sessions there may be.
SELECT current_setting('max_connections')::int;

-- name: wal
-- Bytes of write-ahead log since its statistics began, and full syncs of it.
SELECT wal_bytes::float8 AS bytes, wal_records AS records FROM pg_stat_wal;

-- name: checkpoints
-- Checkpoints by what asked for them.
SELECT num_timed, num_requested FROM pg_stat_checkpointer;

-- name: schemas
-- Bytes of every service's tables with their indexes.
SELECT n.nspname AS schema, sum(pg_total_relation_size(c.oid))::float8 AS bytes
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'public')
   AND n.nspname NOT LIKE 'pg\_%'
 GROUP BY 1;

-- What `tradewind doctor` asks the database. {schema} stands for the service.

-- name: server_version
-- The server's version as text.
SELECT current_setting('server_version');

-- name: applied_migrations
-- The names and checksums of what was applied to a service's schema.
SELECT name, checksum FROM "{schema}".migration;

-- name: outbox_age
-- Facts that wait to be published: how many, and since how many seconds the oldest does.
SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age_s
  FROM "{schema}".outbox
 WHERE published_at IS NULL;

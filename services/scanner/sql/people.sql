-- The queries about what people keep at the scanner: watchlists, monitors, the feed, time zones.

-- name: watchlists
-- A person's watchlists, the default first, then by age.
-- $1 person_id
SELECT id, name, symbols, is_default, created_ms, updated_ms
  FROM scanner.watchlist
 WHERE person_id = $1
 ORDER BY is_default DESC, created_ms, id;

-- name: watchlist
-- One watchlist of a person, locked.
-- $1 person_id  $2 id
SELECT id, name, symbols, is_default, created_ms, updated_ms
  FROM scanner.watchlist
 WHERE person_id = $1 AND id = $2
   FOR UPDATE;

-- name: default_watchlist
-- A person's default watchlist, locked.
-- $1 person_id
SELECT id, name, symbols, is_default, created_ms, updated_ms
  FROM scanner.watchlist
 WHERE person_id = $1 AND is_default
   FOR UPDATE;

-- name: lock_person
-- Let one change of a person's things happen at a time.
-- $1 person_id
SELECT pg_advisory_xact_lock(hashtextextended('scanner person', $1)) AS locked;

-- name: put_watchlist
-- Make or change a watchlist; no row: the person has another one of that name.
-- $1 id  $2 person_id  $3 name  $4 symbols  $5 is_default  $6 created_ms  $7 updated_ms
INSERT INTO scanner.watchlist AS w (id, person_id, name, symbols, is_default, created_ms, updated_ms)
SELECT $1, $2, $3, $4, $5, $6, $7
 WHERE NOT EXISTS (SELECT FROM scanner.watchlist AS o
                    WHERE o.person_id = $2 AND lower(o.name) = lower($3) AND o.id <> $1)
ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, symbols = EXCLUDED.symbols, updated_ms = EXCLUDED.updated_ms
RETURNING id;

-- name: remove_watchlist
-- Take a watchlist away.
-- $1 person_id  $2 id
DELETE FROM scanner.watchlist WHERE person_id = $1 AND id = $2 RETURNING id;

-- name: monitors
-- A person's monitors, oldest first.
-- $1 person_id
SELECT id, person_id, name, symbols, patterns, timeframes, is_active, created_ms, channels
  FROM scanner.monitor
 WHERE person_id = $1
 ORDER BY created_ms, id;

-- name: active_monitors
-- Every monitor that watches.
SELECT id, person_id, name, symbols, patterns, timeframes, is_active, created_ms, channels
  FROM scanner.monitor
 WHERE is_active;

-- name: add_monitor
-- Make a monitor.
-- $1 id  $2 person_id  $3 name  $4 symbols  $5 patterns  $6 timeframes  $7 created_ms  $8 channels
INSERT INTO scanner.monitor (id, person_id, name, symbols, patterns, timeframes, is_active, created_ms, channels)
VALUES ($1, $2, $3, $4, $5, $6, true, $7, $8);

-- name: set_monitor
-- Let a monitor watch or rest.
-- $1 person_id  $2 id  $3 is_active
UPDATE scanner.monitor SET is_active = $3 WHERE person_id = $1 AND id = $2
RETURNING id, person_id, name, symbols, patterns, timeframes, is_active, created_ms, channels;

-- name: remove_monitor
-- Take a monitor away.
-- $1 person_id  $2 id
DELETE FROM scanner.monitor WHERE person_id = $1 AND id = $2 RETURNING id;

-- name: add_events
-- Write feed events; those that were not told before come back.
-- $1 ids  $2 person_ids  $3 created_ms  $4 monitor_ids  $5 detection_ids  $6 kinds  $7 symbols  $8 timeframes
-- $9 patterns
INSERT INTO scanner.feed_event
       (id, person_id, created_ms, monitor_id, detection_id, is_read, kind, symbol, timeframe, pattern)
SELECT e.id, e.person_id, e.created_ms, e.monitor_id, e.detection_id, false, e.kind, e.symbol, e.timeframe,
       e.pattern
  FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
              $8::text[], $9::text[]) WITH ORDINALITY
       AS e (id, person_id, created_ms, monitor_id, detection_id, kind, symbol, timeframe, pattern, position)
 ORDER BY e.position
ON CONFLICT DO NOTHING
RETURNING id;

-- name: feed
-- A person's feed, newest first.
-- $1 person_id  $2 unread_only  $3 before_position  $4 limit
SELECT position, id, monitor_id, kind, symbol, timeframe, pattern, detection_id, created_ms, is_read
  FROM scanner.feed_event
 WHERE person_id = $1 AND (NOT $2 OR NOT is_read) AND position < $3
 ORDER BY position DESC
 LIMIT $4;

-- name: feed_count
-- How many events a person has, and how many are unread.
-- $1 person_id
SELECT count(*) AS events, count(*) FILTER (WHERE NOT is_read) AS unread
  FROM scanner.feed_event
 WHERE person_id = $1;

-- name: acknowledge
-- Mark events of a person as read; the ids that are the person's come back.
-- $1 person_id  $2 ids
UPDATE scanner.feed_event SET is_read = true WHERE person_id = $1 AND id = ANY ($2) RETURNING id;

-- name: confirm
-- A person has looked at a context's chart; the first word holds.
-- $1 person_id  $2 detection_id  $3 confirmed_ms  $4 method  $5 observations
INSERT INTO scanner.confirmation (person_id, detection_id, confirmed_ms, method, observations)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING;

-- name: confirmed
-- When a person confirmed a context, or no row.
-- $1 person_id  $2 detection_id
SELECT confirmed_ms FROM scanner.confirmation WHERE person_id = $1 AND detection_id = $2;

-- name: timezone
-- A person's time zone, or no row.
-- $1 person_id
SELECT timezone FROM scanner.person WHERE person_id = $1;

-- name: put_timezone
-- Keep a person's time zone.
-- $1 person_id  $2 timezone
INSERT INTO scanner.person (person_id, timezone) VALUES ($1, $2)
ON CONFLICT (person_id) DO UPDATE SET timezone = EXCLUDED.timezone;

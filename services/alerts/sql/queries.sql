-- The queries of alerts.

-- name: alerts_of
-- The alerts of an account.
-- $1 login
SELECT id, login, group_name, profile, symbol, indicator_name, message, side, condition, target_price,
       channel_low, channel_high, move_threshold, status, repeat_mode, created_ms, updated_ms, expires_at,
       triggered_ms, triggered_price, reference_price, reference_time, comment, armed_seq, fired_seq
  FROM alerts.alert
 WHERE login = $1
 ORDER BY id;

-- name: alert
-- One alert.
-- $1 id
SELECT id, login, group_name, profile, symbol, indicator_name, message, side, condition, target_price,
       channel_low, channel_high, move_threshold, status, repeat_mode, created_ms, updated_ms, expires_at,
       triggered_ms, triggered_price, reference_price, reference_time, comment, armed_seq, fired_seq
  FROM alerts.alert
 WHERE id = $1;

-- name: locked
-- One alert, which nobody else changes until this transaction ends.
-- $1 id
SELECT id, login, group_name, profile, symbol, indicator_name, message, side, condition, target_price,
       channel_low, channel_high, move_threshold, status, repeat_mode, created_ms, updated_ms, expires_at,
       triggered_ms, triggered_price, reference_price, reference_time, comment, armed_seq, fired_seq
  FROM alerts.alert
 WHERE id = $1 FOR UPDATE;

-- name: count_of
-- How many alerts an account has, counted up to a bound.
-- $1 login  $2 bound
SELECT count(*) FROM (SELECT FROM alerts.alert WHERE login = $1 LIMIT $2) AS found;

-- name: add
-- A new alert; its id.
-- $1 … $24 the columns in the order of the table, without the id
INSERT INTO alerts.alert (login, group_name, profile, symbol, indicator_name, message, side, condition,
       target_price, channel_low, channel_high, move_threshold, status, repeat_mode, created_ms, updated_ms,
       expires_at, triggered_ms, triggered_price, reference_price, reference_time, comment, armed_seq, fired_seq)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)
RETURNING id;

-- name: put
-- Change an alert.
-- $1 … $24 the columns in the order of the table, without the id  $25 id
UPDATE alerts.alert
   SET login = $1, group_name = $2, profile = $3, symbol = $4, indicator_name = $5, message = $6, side = $7,
       condition = $8, target_price = $9, channel_low = $10, channel_high = $11, move_threshold = $12,
       status = $13, repeat_mode = $14, created_ms = $15, updated_ms = $16, expires_at = $17,
       triggered_ms = $18, triggered_price = $19, reference_price = $20, reference_time = $21, comment = $22,
       armed_seq = $23, fired_seq = $24
 WHERE id = $25;

-- name: remove
-- Take an alert away.
-- $1 id
DELETE FROM alerts.alert WHERE id = $1;

-- name: hit
-- What hits tell of their alerts, as they will be afterwards, with the id of each one's log row; alerts that are
-- not active any more are left out.
-- $1 alert_ids, one per hit
SELECT nextval('alerts.alert_log_id_seq') AS log_id, t.*
  FROM (SELECT h.position::int - 1 AS position, a.id, a.login, a.symbol, a.indicator_name, a.message, a.side,
               a.condition, a.target_price, a.channel_low, a.channel_high, a.move_threshold,
               CASE WHEN a.repeat_mode = 1 THEN 0 ELSE 1 END AS status, a.repeat_mode, a.expires_at, a.comment
          FROM unnest($1::bigint[]) WITH ORDINALITY AS h (id, position)
          JOIN alerts.alert AS a ON a.id = h.id AND a.status = 0
         ORDER BY h.position) AS t;

-- name: fire
-- Alerts were hit: once ends, repeat goes on from the price of the hit. How many were active.
-- $1 ids, each once  $2 prices  $3 seqs  $4 now_ms
WITH fired AS (
    UPDATE alerts.alert AS a
       SET status = CASE WHEN a.repeat_mode = 1 THEN 0 ELSE 1 END,
           triggered_ms = $4::bigint,
           triggered_price = h.price,
           updated_ms = $4::bigint,
           reference_price = CASE WHEN a.repeat_mode = 1 THEN h.price ELSE a.reference_price END,
           reference_time = CASE WHEN a.repeat_mode = 1 THEN $4::bigint / 1000 ELSE a.reference_time END,
           fired_seq = h.seq
      FROM unnest($1::bigint[], $2::float8[], $3::bigint[]) AS h (id, price, seq)
     WHERE a.id = h.id AND a.status = 0
    RETURNING 1)
SELECT count(*) FROM fired;

-- name: log_hits
-- A log row per hit.
-- $1 ids of the rows  $2 alert_ids  $3 prices  $4 comments  $5 now_ms
INSERT INTO alerts.alert_log (id, alert_id, login, symbol, indicator_name, message, side, condition, target_price,
       triggered_price, triggered_ms, comment)
OVERRIDING SYSTEM VALUE
SELECT h.log_id, a.id, a.login, a.symbol, a.indicator_name, a.message, a.side, a.condition, a.target_price,
       h.price, $5::bigint, h.comment
  FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::text[]) AS h (log_id, id, price, comment)
  JOIN alerts.alert AS a ON a.id = h.id;

-- name: set_references
-- Moving alerts got their reference from the first price there was.
-- $1 ids  $2 prices  $3 now_ms
UPDATE alerts.alert AS a
   SET reference_price = r.price, reference_time = $3::bigint / 1000
  FROM unnest($1::bigint[], $2::float8[]) AS r (id, price)
 WHERE a.id = r.id;

-- name: expire
-- Alerts whose time is over end without a hit.
-- $1 now_s  $2 what was over before this has ended already, Unix s  $3 partitions  $4 partition
UPDATE alerts.alert AS a
   SET status = 4, updated_ms = $1::bigint * 1000
 WHERE a.status = 0 AND a.expires_at > 0 AND a.expires_at BETWEEN $2 AND $1::bigint
   AND ($3::int = 1 OR alerts.partition_of(a.symbol, $3) = $4::int)
RETURNING a.id, a.login, a.group_name, a.profile, a.symbol, a.indicator_name, a.message, a.side, a.condition,
       a.target_price, a.channel_low, a.channel_high, a.move_threshold, a.status, a.repeat_mode, a.created_ms,
       a.updated_ms, a.expires_at, a.triggered_ms, a.triggered_price, a.reference_price, a.reference_time,
       a.comment, a.armed_seq, a.fired_seq;

-- name: next_expiry
-- When the next active alert expires, in Unix s; nothing when none does.
-- $1 now_s
SELECT expires_at
  FROM alerts.alert
 WHERE status = 0 AND expires_at > 0 AND expires_at > $1
 ORDER BY expires_at
 LIMIT 1;

-- name: lock_login
-- One process at a time counts what an account has, until its transaction ends.
-- $1 logins, in order
SELECT pg_advisory_xact_lock(hashtextextended('tradewind alerts account', login)) FROM unnest($1::bigint[]) AS t (login);

-- name: groups
-- The groups that have active alerts.
-- $1 partitions  $2 partition
SELECT DISTINCT group_name
  FROM alerts.alert
 WHERE status = 0 AND ($1::int = 1 OR alerts.partition_of(symbol, $1) = $2::int);

-- name: profiles
-- The price profiles that are watched.
-- $1 partitions  $2 partition
SELECT DISTINCT profile
  FROM alerts.alert
 WHERE status = 0 AND profile <> '' AND ($1::int = 1 OR alerts.partition_of(symbol, $1) = $2::int);

-- name: places_of_group
-- The symbols a group's active alerts watch, and at which profile.
-- $1 group  $2 partitions  $3 partition
SELECT DISTINCT symbol, profile
  FROM alerts.alert
 WHERE status = 0 AND group_name = $1 AND ($2::int = 1 OR alerts.partition_of(symbol, $2) = $3::int);

-- name: active_at
-- A group's active alerts of one symbol and profile; nobody else changes them until this transaction ends.
-- $1 group  $2 symbol  $3 profile
SELECT id, login, group_name, profile, symbol, indicator_name, message, side, condition, target_price,
       channel_low, channel_high, move_threshold, status, repeat_mode, created_ms, updated_ms, expires_at,
       triggered_ms, triggered_price, reference_price, reference_time, comment, armed_seq, fired_seq
  FROM alerts.alert
 WHERE status = 0 AND group_name = $1 AND symbol = $2 AND profile = $3
 ORDER BY id
   FOR UPDATE;

-- name: move
-- Watch alerts at another profile from now on.
-- $1 ids  $2 profile  $3 armed_seq  $4 fired_seq
UPDATE alerts.alert SET profile = $2, armed_seq = $3, fired_seq = $4 WHERE id = ANY($1::bigint[]);

-- name: seen
-- How far the ticks have been judged.
-- $1 partitions  $2 partition
SELECT profile, symbol, seq, bid, ask, tick_ms, high, low
  FROM alerts.seen
 WHERE $1::int = 1 OR alerts.partition_of(symbol, $1) = $2::int;

-- name: put_seen
-- Remember how far the ticks have been judged.
-- $1 profiles  $2 symbols  $3 seqs  $4 bids  $5 asks  $6 ticks_ms  $7 highs  $8 lows
INSERT INTO alerts.seen (profile, symbol, seq, bid, ask, tick_ms, high, low)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::float8[], $5::float8[], $6::bigint[],
                     $7::float8[], $8::float8[])
ON CONFLICT (profile, symbol)
DO UPDATE SET seq = excluded.seq, bid = excluded.bid, ask = excluded.ask, tick_ms = excluded.tick_ms,
              high = excluded.high, low = excluded.low;

-- name: load_plain
-- Active alerts that are one level and were judged before, in pieces per symbol, profile, side and condition.
-- $1 partitions  $2 partition
SELECT a.profile, a.symbol, a.side, a.condition, a.repeat_mode,
       array_agg(a.id) AS ids, array_agg(a.target_price) AS targets
  FROM alerts.alert AS a
  LEFT JOIN alerts.seen AS s ON s.profile = a.profile AND s.symbol = a.symbol
 WHERE a.status = 0 AND a.profile <> '' AND a.condition IN (0, 1, 2, 3)
   AND (a.condition IN (0, 1) OR a.armed_seq < coalesce(s.seq, 0))
   AND greatest(a.armed_seq, a.fired_seq) <= coalesce(s.seq, 0)
   AND ($1::int = 1 OR alerts.partition_of(a.symbol, $1) = $2::int)
 GROUP BY a.profile, a.symbol, a.side, a.condition, a.repeat_mode;

-- name: load_others
-- The other active alerts: more than one level, not judged yet, or armed or fired at a tick still to be judged.
-- $1 partitions  $2 partition
SELECT a.id, a.login, a.group_name, a.profile, a.symbol, a.indicator_name, a.message, a.side, a.condition,
       a.target_price, a.channel_low, a.channel_high, a.move_threshold, a.status, a.repeat_mode, a.created_ms,
       a.updated_ms, a.expires_at, a.triggered_ms, a.triggered_price, a.reference_price, a.reference_time,
       a.comment, a.armed_seq, a.fired_seq
  FROM alerts.alert AS a
  LEFT JOIN alerts.seen AS s ON s.profile = a.profile AND s.symbol = a.symbol
 WHERE a.status = 0 AND a.profile <> ''
   AND NOT (a.condition IN (0, 1, 2, 3)
            AND (a.condition IN (0, 1) OR a.armed_seq < coalesce(s.seq, 0))
            AND greatest(a.armed_seq, a.fired_seq) <= coalesce(s.seq, 0))
   AND ($1::int = 1 OR alerts.partition_of(a.symbol, $1) = $2::int);

-- name: log_of
-- The log of an account, newest first.
-- $1 login  $2 limit  $3 offset
SELECT id, alert_id, login, symbol, indicator_name, message, side, condition, target_price, triggered_price,
       triggered_ms / 1000 AS triggered_at, comment
  FROM alerts.alert_log
 WHERE login = $1
 ORDER BY id DESC
 LIMIT $2 OFFSET $3;

-- name: log_login
-- Whose a log row is.
-- $1 id
SELECT login FROM alerts.alert_log WHERE id = $1;

-- name: remove_log
-- Take one log row away.
-- $1 id
DELETE FROM alerts.alert_log WHERE id = $1;

-- name: clear_log
-- Take an account's log away.
-- $1 login
DELETE FROM alerts.alert_log WHERE login = $1;

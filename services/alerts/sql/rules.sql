-- The queries of rules.

-- name: rules_of
-- An account's rules, oldest first.
-- $1 login
SELECT id, login, symbol, timeframe, status, body, state, bar_ms, created_ms, updated_ms, fired_ms, fired_count
  FROM alerts.rule WHERE login = $1 ORDER BY id;

-- name: rule
-- One rule.
-- $1 id
SELECT id, login, symbol, timeframe, status, body, state, bar_ms, created_ms, updated_ms, fired_ms, fired_count
  FROM alerts.rule WHERE id = $1;

-- name: active
-- Every rule that is judged.
-- $1 partitions  $2 partition
SELECT id, login, symbol, timeframe, status, body, state, bar_ms, created_ms, updated_ms, fired_ms, fired_count
  FROM alerts.rule
 WHERE status = 0 AND ($1::int = 1 OR alerts.partition_of(symbol, $1) = $2::int)
 ORDER BY id;

-- name: count_of
-- How many rules an account has.
-- $1 login
SELECT count(*) FROM alerts.rule WHERE login = $1;

-- name: add
-- A new rule; its id.
-- $1 login  $2 symbol  $3 timeframe  $4 status  $5 body  $6 state  $7 bar_ms  $8 now_ms
INSERT INTO alerts.rule (login, symbol, timeframe, status, body, state, bar_ms, created_ms, updated_ms,
       fired_ms, fired_count)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, 0, 0)
RETURNING id;

-- name: put
-- Replace a rule; it begins anew.
-- $1 id  $2 symbol  $3 timeframe  $4 status  $5 body  $6 state  $7 bar_ms  $8 now_ms
UPDATE alerts.rule
   SET symbol = $2, timeframe = $3, status = $4, body = $5, state = $6, bar_ms = $7, updated_ms = $8
 WHERE id = $1;

-- name: remove
-- Take a rule and its hits away.
-- $1 id
DELETE FROM alerts.rule WHERE id = $1;

-- name: put_states
-- What rules remember after a bar; those that are still there and of this place.
-- $1 ids  $2 statuses  $3 states  $4 bars_ms  $5 fired_ms (0: did not fire)  $6 symbol  $7 timeframe
UPDATE alerts.rule AS r
   SET status = s.status, state = s.state, bar_ms = s.bar_ms,
       fired_ms = CASE WHEN s.fired_ms > 0 THEN s.fired_ms ELSE r.fired_ms END,
       fired_count = r.fired_count + CASE WHEN s.fired_ms > 0 THEN 1 ELSE 0 END
  FROM unnest($1::bigint[], $2::smallint[], $3::bytea[], $4::bigint[], $5::bigint[])
    AS s (id, status, state, bar_ms, fired_ms)
 WHERE r.id = s.id AND r.symbol = $6 AND r.timeframe = $7
RETURNING r.id;

-- name: places
-- How far bars have been judged.
-- $1 partitions  $2 partition
SELECT symbol, timeframe, bar_ms
  FROM alerts.rule_place
 WHERE $1::int = 1 OR alerts.partition_of(symbol, $1) = $2::int;

-- name: put_place
-- Remember how far bars have been judged.
-- $1 symbol  $2 timeframe  $3 bar_ms
INSERT INTO alerts.rule_place (symbol, timeframe, bar_ms) VALUES ($1, $2, $3)
ON CONFLICT (symbol, timeframe) DO UPDATE SET bar_ms = excluded.bar_ms;

-- name: add_hits
-- Hits, in order.
-- $1 rule_ids  $2 bars_open_ms  $3 bars_close_ms  $4 prices  $5 told  $6 held_back
INSERT INTO alerts.rule_hit (rule_id, bar_open_ms, bar_close_ms, price, told, held_back)
SELECT h.rule_id, h.open_ms, h.close_ms, h.price, h.told, h.held_back
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::float8[], $5::text[], $6::bigint[]) WITH ORDINALITY
    AS h (rule_id, open_ms, close_ms, price, told, held_back, position)
 ORDER BY h.position;

-- name: hits_of
-- The hits of a rule, newest first.
-- $1 rule_id  $2 limit  $3 offset
SELECT bar_open_ms, bar_close_ms, price, told, held_back
  FROM alerts.rule_hit WHERE rule_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3;

-- name: add_fact
-- What was told of a bar.
-- $1 symbol  $2 timeframe  $3 bar_open_ms  $4 kind  $5 name  $6 direction  $7 confidence  $8 late
INSERT INTO alerts.rule_fact (symbol, timeframe, bar_open_ms, kind, name, direction, confidence, late)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: facts_between
-- What was told of the bars of a place in time.
-- $1 symbol  $2 timeframe  $3 from_ms  $4 to_ms, both in it
SELECT bar_open_ms, kind, name, direction, confidence
  FROM alerts.rule_fact
 WHERE symbol = $1 AND timeframe = $2 AND bar_open_ms BETWEEN $3 AND $4 AND NOT late
 ORDER BY bar_open_ms;

-- name: facts_since
-- The oldest bar of a place of which anything was told.
-- $1 symbol  $2 timeframe
SELECT min(bar_open_ms) FROM alerts.rule_fact WHERE symbol = $1 AND timeframe = $2;

-- name: forget_facts
-- Take away what is older than the past that can be tested; a bounded piece at a time.
-- $1 before_ms
DELETE FROM alerts.rule_fact
 WHERE ctid = ANY (ARRAY(SELECT ctid FROM alerts.rule_fact WHERE bar_open_ms < $1 LIMIT 10000));

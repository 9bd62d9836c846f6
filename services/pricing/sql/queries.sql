-- The queries of pricing.

-- name: graph
-- The graph that was in force last.
SELECT origin, body, anchor_quotes, at_ms FROM pricing.graph WHERE id = 1;

-- name: put_graph
-- This graph is in force now.
-- $1 origin  $2 body  $3 anchor_quotes  $4 at_ms
INSERT INTO pricing.graph (id, origin, body, anchor_quotes, at_ms) VALUES (1, $1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE
   SET origin = EXCLUDED.origin, body = EXCLUDED.body, anchor_quotes = EXCLUDED.anchor_quotes,
       at_ms = EXCLUDED.at_ms;

-- name: anchor
-- The last price the anchor's sources agreed on.
SELECT price, confidence, sources, at_ms FROM pricing.anchor WHERE id = 1;

-- name: put_anchor
-- The anchor's sources agreed on this price.
-- $1 price  $2 confidence  $3 sources  $4 at_ms
INSERT INTO pricing.anchor (id, price, confidence, sources, at_ms) VALUES (1, $1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE
   SET price = EXCLUDED.price, confidence = EXCLUDED.confidence, sources = EXCLUDED.sources,
       at_ms = EXCLUDED.at_ms;

-- name: pegs
-- How every stablecoin held when it was last looked at.
SELECT token_id, lost, since_ms, level FROM pricing.peg;

-- name: put_peg
-- How a stablecoin holds now.
-- $1 token_id  $2 lost  $3 since_ms  $4 level
INSERT INTO pricing.peg (token_id, lost, since_ms, level) VALUES ($1, $2, $3, $4)
ON CONFLICT (token_id) DO UPDATE
   SET lost = EXCLUDED.lost, since_ms = EXCLUDED.since_ms, level = EXCLUDED.level;

-- name: add_tokens
-- Make tokens of these ids known to the bars; known ones stay as they are.
-- $1 token_ids
INSERT INTO pricing.token (token_id) SELECT unnest($1::text[]) ON CONFLICT (token_id) DO NOTHING;

-- name: put_bars
-- Store bars; one that is there already grows: its open stays, the rest is taken together.
-- $1 token_ids  $2 widths  $3 begins  $4 opens  $5 highs  $6 lows  $7 closes  $8 ratios  $9 confidences
INSERT INTO pricing.bar (token, width_ms, begin_ms, open, high, low, close, ratio, confidence)
SELECT t.id, g.width_ms, g.begin_ms, g.open, g.high, g.low, g.close, g.ratio, g.confidence
  FROM unnest($1::text[], $2::int[], $3::bigint[], $4::float8[], $5::float8[], $6::float8[], $7::float8[],
              $8::float8[], $9::float8[])
       AS g (token_id, width_ms, begin_ms, open, high, low, close, ratio, confidence)
  JOIN pricing.token AS t ON t.token_id = g.token_id
ON CONFLICT (token, width_ms, begin_ms) DO UPDATE
   SET high = greatest(bar.high, EXCLUDED.high), low = least(bar.low, EXCLUDED.low),
       close = EXCLUDED.close, ratio = EXCLUDED.ratio, confidence = EXCLUDED.confidence;

-- name: bars
-- The newest bars of a token that begin within two moments, newest first.
-- $1 token_id  $2 width_ms  $3 from_ms  $4 to_ms  $5 limit
SELECT b.begin_ms, b.open, b.high, b.low, b.close, b.ratio, b.confidence
  FROM pricing.bar AS b JOIN pricing.token AS t ON t.id = b.token
 WHERE t.token_id = $1 AND b.width_ms = $2 AND b.begin_ms BETWEEN $3 AND $4
 ORDER BY b.begin_ms DESC
 LIMIT $5;

-- name: recent_bars
-- The minute bars of every token since a moment, oldest first.
-- $1 from_ms
SELECT t.token_id, b.begin_ms, b.close
  FROM pricing.bar AS b JOIN pricing.token AS t ON t.id = b.token
 WHERE b.width_ms = 60000 AND b.begin_ms >= $1
 ORDER BY b.begin_ms;

-- name: forget_bars
-- Drop bars that are kept no longer.
-- $1 width_ms  $2 before_ms
DELETE FROM pricing.bar WHERE width_ms = $1 AND begin_ms < $2;

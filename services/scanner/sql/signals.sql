-- The queries of the signals.

-- name: assets
-- The registry.
SELECT body FROM scanner.asset ORDER BY cmc_id;

-- name: put_assets
-- Add assets, or replace those of the same id.
-- $1 cmc_ids  $2 bodies  $3 changed_ms
INSERT INTO scanner.asset (cmc_id, body, changed_ms)
SELECT a.cmc_id, a.body, $3 FROM unnest($1::int[], $2::text[]) AS a (cmc_id, body)
ON CONFLICT (cmc_id) DO UPDATE SET body = EXCLUDED.body, changed_ms = EXCLUDED.changed_ms;

-- name: head
-- Let nobody else add to the record or to the names; where the record ends.
SELECT position, hash FROM scanner.signal_head FOR UPDATE;

-- name: see_head
-- Where the record ends.
SELECT position, hash FROM scanner.signal_head;

-- name: names
-- Every chain, tag and narrative.
SELECT kind, id, name FROM scanner.signal_name ORDER BY kind, id;

-- name: add_names
-- Give names that have none an id; the head is held.
-- $1 kind  $2 names
INSERT INTO scanner.signal_name (kind, id, name)
SELECT $1, known.last + row_number() OVER (ORDER BY new.place), new.name
  FROM unnest($2::text[]) WITH ORDINALITY AS new (name, place),
       (SELECT coalesce(max(id), 0) AS last FROM scanner.signal_name WHERE kind = $1) AS known
 WHERE NOT EXISTS (SELECT FROM scanner.signal_name AS n WHERE n.kind = $1 AND n.name = new.name);

-- name: known_signals
-- Those of some ids that are in the record.
-- $1 ids
SELECT id FROM scanner.signal WHERE id = ANY ($1::uuid[]);

-- name: add_signals
-- Add to the record; the head is held. The lists come as JSON.
-- $1 positions  $2 ids  $3 recorded_ms  $4 confidences  $5 prices  $6 cmc_ids  $7 timeframes  $8 sentiments
-- $9 symbols  $10 markets  $11 titles  $12 hashes  $13 lists  $14 bodies  $15 evidences
-- $16 whether others are told
INSERT INTO scanner.signal (position, id, recorded_ms, confidence, price, cmc_id, timeframe, sentiment, symbol,
                            market, title, hash, chains, tags, narratives, triggers, body, evidence, told)
SELECT s.position, s.id, s.recorded_ms, s.confidence, s.price, s.cmc_id, s.timeframe, s.sentiment, s.symbol,
       s.market, s.title, s.hash,
       ARRAY (SELECT jsonb_array_elements_text(s.lists -> 'chains')),
       ARRAY (SELECT jsonb_array_elements_text(s.lists -> 'tags')),
       ARRAY (SELECT jsonb_array_elements_text(s.lists -> 'narratives')::int),
       ARRAY (SELECT jsonb_array_elements_text(s.lists -> 'triggers')),
       s.body, s.evidence, s.told
  FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::float8[], $5::float8[], $6::int[], $7::smallint[],
              $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::jsonb[], $14::text[],
              $15::text[], $16::boolean[])
       AS s (position, id, recorded_ms, confidence, price, cmc_id, timeframe, sentiment, symbol, market,
             title, hash, lists, body, evidence, told);

-- name: set_head
-- The record ends here now.
-- $1 position  $2 hash
UPDATE scanner.signal_head SET position = $1, hash = $2;

-- name: packed
-- What filters look at, in the order of the record, behind a position: a row of columns. They come in the
-- order of the subquery; positions prove it.
-- $1 position  $2 limit
SELECT string_agg(int8send(s.position), '') AS positions,
       string_agg(uuid_send(s.id), '') AS ids,
       string_agg(int8send(s.recorded_ms), '') AS recorded_ms,
       string_agg(int4send(s.cmc_id), '') AS cmc_ids,
       string_agg(int2send(s.timeframe), '') AS timeframe_ids,
       string_agg(float8send(s.confidence), '') AS confidences,
       string_agg(boolsend(s.told), '') AS told,
       string_agg(s.sentiment, E'\n') AS sentiments,
       string_agg(to_jsonb(ARRAY[s.symbol])::text, E'\n') AS symbols,
       string_agg(replace(s.title, E'\n', ' '), E'\n') AS titles,
       string_agg(to_jsonb(s.chains)::text, E'\n') AS chains,
       string_agg(to_jsonb(s.tags)::text, E'\n') AS tags,
       string_agg(to_jsonb(s.narratives)::text, E'\n') AS narratives,
       string_agg(to_jsonb(s.triggers)::text, E'\n') AS triggers
  FROM (SELECT position, id, recorded_ms, cmc_id, symbol, sentiment, timeframe, confidence, title, chains, tags,
               narratives, triggers, told
          FROM scanner.signal WHERE position > $1 ORDER BY position LIMIT $2) AS s;

-- name: bodies
-- Signals as they are shown. $1 positions
SELECT position, id, recorded_ms, body FROM scanner.signal WHERE position = ANY ($1::bigint[]);

-- name: bodies_with_evidence
-- Signals with what they rest on, their outcomes and their place in the chain. $1 positions
SELECT s.position, s.id, s.recorded_ms, s.body, s.evidence, s.hash,
       coalesce((SELECT b.hash FROM scanner.signal AS b WHERE b.position = s.position - 1), repeat('0', 64))
           AS previous_hash,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(o.horizon, o.forward, o.mfe, o.mae, o.hit) ORDER BY o.horizon),
                        '[]'::jsonb)
          FROM scanner.signal_outcome AS o WHERE o.position = s.position) AS outcomes
  FROM scanner.signal AS s
 WHERE s.position = ANY ($1::bigint[]);

-- name: position_of
-- Where a signal stands. $1 id
SELECT position FROM scanner.signal WHERE id = $1;

-- name: places
-- How far bars were looked at.
SELECT cmc_id, timeframe, market, done_ms, memory FROM scanner.signal_place;

-- name: put_place
-- $1 cmc_id  $2 timeframe  $3 market  $4 done_ms  $5 memory
INSERT INTO scanner.signal_place (cmc_id, timeframe, market, done_ms, memory) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (cmc_id, timeframe, market) DO UPDATE SET done_ms = EXCLUDED.done_ms, memory = EXCLUDED.memory;

-- name: add_input
-- What was known beside a bar; the first word holds.
-- $1 cmc_id  $2 close_ms  $3 pools  $4 texts
INSERT INTO scanner.signal_input (cmc_id, close_ms, pools, texts) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- name: inputs
-- What was known beside the bars of an asset that closed in a range.
-- $1 cmc_id  $2 from_ms  $3 to_ms
SELECT close_ms, pools, texts FROM scanner.signal_input
 WHERE cmc_id = $1 AND close_ms BETWEEN $2 AND $3
 ORDER BY close_ms;

-- name: add_waiting
-- Outcomes to come. $1 positions  $2 horizons  $3 due_ms  $4 timeframes  $5 markets
INSERT INTO scanner.signal_waiting (position, horizon, due_ms, timeframe, market)
SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::smallint[], $5::text[]);

-- name: due
-- Outcomes of a market that should be known by now, of signals that closed at a moment or later.
-- $1 market  $2 timeframe  $3 now_ms  $4 from_ms  $5 limit
SELECT w.position, w.horizon, s.recorded_ms, s.price, s.sentiment
  FROM scanner.signal_waiting AS w JOIN scanner.signal AS s USING (position)
 WHERE w.market = $1 AND w.timeframe = $2 AND w.due_ms <= $3 AND s.recorded_ms >= $4
 ORDER BY w.due_ms
 LIMIT $5;

-- name: add_outcomes
-- Outcomes came. $1 positions  $2 horizons  $3 forwards  $4 mfes  $5 maes  $6 hits
WITH came AS (
    SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::float8[], $4::float8[], $5::float8[], $6::boolean[])
                  AS o (position, horizon, forward, mfe, mae, hit)
), ended AS (
    DELETE FROM scanner.signal_waiting AS w USING came
     WHERE w.position = came.position AND w.horizon = came.horizon
)
INSERT INTO scanner.signal_outcome (position, horizon, forward, mfe, mae, hit)
SELECT * FROM came ON CONFLICT DO NOTHING;

-- name: tallies
-- Outcomes by trigger, timeframe, sentiment, horizon and asset; null asks for any.
-- $1 timeframe  $2 cmc_id
SELECT t.trigger, s.timeframe, s.sentiment, o.horizon, s.cmc_id, count(*) AS n,
       count(*) FILTER (WHERE o.hit) AS hits, sum(o.forward) AS forward, sum(o.mfe) AS mfe, sum(o.mae) AS mae,
       coalesce(sum((s.confidence - o.hit::int) ^ 2), 0) AS brier
  FROM scanner.signal AS s
  JOIN scanner.signal_outcome AS o USING (position)
 CROSS JOIN LATERAL unnest(s.triggers) AS t (trigger)
 WHERE ($1::smallint IS NULL OR s.timeframe = $1) AND ($2::int IS NULL OR s.cmc_id = $2)
 GROUP BY 1, 2, 3, 4, 5;

-- name: calibration
-- Outcomes that were right or wrong by timeframe, horizon, half in time (1 the earlier) and confidence in
-- steps of 0.01; null asks for any. $1 timeframe  $2 cmc_id
SELECT k.timeframe, k.horizon, k.half, k.confidence, count(*) AS n, count(*) FILTER (WHERE k.hit) AS hits
  FROM (SELECT s.timeframe, o.horizon, o.hit, round(s.confidence::numeric, 2)::float8 AS confidence,
               ntile(2) OVER (PARTITION BY s.timeframe, o.horizon ORDER BY s.recorded_ms, s.position) AS half
          FROM scanner.signal AS s JOIN scanner.signal_outcome AS o USING (position)
         WHERE o.hit IS NOT NULL AND ($1::smallint IS NULL OR s.timeframe = $1)
           AND ($2::int IS NULL OR s.cmc_id = $2)) AS k
 GROUP BY 1, 2, 3, 4;

-- name: spans
-- From when to when the signals of every market are, with their asset.
SELECT cmc_id, market, timeframe, min(recorded_ms) AS first_ms, max(recorded_ms) AS last_ms
  FROM scanner.signal
 GROUP BY 1, 2, 3;

-- name: leaning
-- What bullishness is made of: the signals since a moment.
-- $1 since_ms
SELECT cmc_id, symbol, sentiment, confidence, recorded_ms, narratives
  FROM scanner.signal
 WHERE recorded_ms >= $1;

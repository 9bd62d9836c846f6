-- The queries of the scanner.

-- name: places
-- From where and how far the bars of every place were judged.
SELECT symbol, timeframe, done_ms, trend, first_ms FROM scanner.place;

-- name: advance
-- Bars were judged: one row comes back for each place that stood where it was expected to stand.
-- $1 symbols  $2 timeframes  $3 expected done_ms, 0 is none  $4 done_ms  $5 trends  $6 first_ms
INSERT INTO scanner.place AS p (symbol, timeframe, done_ms, trend, first_ms)
SELECT a.symbol, a.timeframe, a.done_ms, a.trend, a.first_ms
  FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[])
       AS a (symbol, timeframe, expected_ms, done_ms, trend, first_ms)
  LEFT JOIN scanner.place AS k ON k.symbol = a.symbol AND k.timeframe = a.timeframe
 WHERE coalesce(k.done_ms, 0) = a.expected_ms
 ORDER BY a.symbol, a.timeframe
ON CONFLICT (symbol, timeframe) DO UPDATE SET done_ms = EXCLUDED.done_ms, trend = EXCLUDED.trend
 WHERE p.done_ms < EXCLUDED.done_ms
RETURNING p.symbol, p.timeframe;

-- name: reach_back
-- The past of a place was judged, too; a row comes back if it began where it was expected to begin.
-- $1 symbol  $2 timeframe  $3 expected first_ms  $4 first_ms
UPDATE scanner.place SET first_ms = $4
 WHERE symbol = $1 AND timeframe = $2 AND first_ms = $3 AND $4 < $3
RETURNING symbol;

-- name: add_detections
-- Write detections; the ids of those that were not known. $1 to $26 are the columns below.
INSERT INTO scanner.detection
       (id, symbol, timeframe, pattern, direction, is_baseline, start_ms, end_ms, known_ms, detected_ms, span,
        confidence, price, atr, entry, stop, target1, target2, outcome, exit_ms, exit_price, return_pct,
        mfe_pct, mae_pct, bars, stored_ms)
SELECT *, $26::bigint
  FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::text[], $5::smallint[], $6::boolean[], $7::bigint[],
              $8::bigint[], $9::bigint[], $10::bigint[], $11::smallint[], $12::float8[], $13::float8[],
              $14::float8[], $15::float8[], $16::float8[], $17::float8[], $18::float8[], $19::smallint[],
              $20::bigint[], $21::float8[], $22::float8[], $23::float8[], $24::float8[], $25::smallint[])
ON CONFLICT DO NOTHING
RETURNING id;

-- name: close_records
-- Records came to their end.
-- $1 ids  $2 outcomes  $3 exit_ms  $4 exit_prices  $5 return_pcts  $6 mfe_pcts  $7 mae_pcts  $8 bars
UPDATE scanner.detection AS d
   SET outcome = c.outcome, exit_ms = c.exit_ms, exit_price = c.exit_price, return_pct = c.return_pct,
       mfe_pct = c.mfe_pct, mae_pct = c.mae_pct, bars = c.bars
  FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::float8[], $5::float8[], $6::float8[],
              $7::float8[], $8::smallint[])
       AS c (id, outcome, exit_ms, exit_price, return_pct, mfe_pct, mae_pct, bars)
 WHERE d.id = c.id AND d.outcome = 0;

-- name: open_records
-- Every open record, baselines included, oldest first.
SELECT id, symbol, timeframe, pattern, direction, start_ms, end_ms, known_ms, detected_ms, span, confidence,
       price, atr, entry, stop, target1, target2
  FROM scanner.detection
 WHERE outcome = 0
 ORDER BY known_ms, id;

-- name: detection
-- One detection.
-- $1 id
SELECT * FROM scanner.detection WHERE id = $1 AND NOT is_baseline;

-- name: known
-- The plans of those of some detections that are stored.
-- $1 ids
SELECT id, entry, stop, target1, target2 FROM scanner.detection WHERE id = ANY ($1);

-- name: records
-- Records, newest first; null asks for any. $7 and $8 are where the last page ended.
-- $1 symbol  $2 timeframe  $3 patterns  $4 outcomes  $5 from_ms  $6 to_ms  $7 before_ms  $8 before_id  $9 limit
SELECT *
  FROM scanner.detection
 WHERE NOT is_baseline AND entry IS NOT NULL
   AND ($1::text IS NULL OR symbol = $1)
   AND ($2::smallint IS NULL OR timeframe = $2)
   AND ($3::text[] IS NULL OR pattern = ANY ($3))
   AND ($4::smallint[] IS NULL OR outcome = ANY ($4))
   AND detected_ms BETWEEN $5 AND $6
   AND (detected_ms, id) < ($7::bigint, $8::uuid)
 ORDER BY detected_ms DESC, id DESC
 LIMIT $9;

-- name: contexts
-- The newest detections of a symbol and timeframe.
-- $1 symbol  $2 timeframe  $3 limit
SELECT *
  FROM scanner.detection
 WHERE NOT is_baseline AND symbol = $1 AND timeframe = $2
 ORDER BY detected_ms DESC, id DESC
 LIMIT $3;

-- name: performance
-- What became of the closed records of some patterns: in all, by timeframe, by symbol, by hour (UTC).
-- $1 patterns  $2 symbol or null  $3 timeframe or null
SELECT grouping(timeframe, symbol, hour) AS level, timeframe, symbol, hour, count(*) AS n,
       count(*) FILTER (WHERE outcome = 1) AS wins,
       count(*) FILTER (WHERE outcome = 2) AS losses,
       count(*) FILTER (WHERE outcome = 3) AS expired,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY return_pct) AS median_return_pct,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY mfe_pct) AS median_mfe_pct,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY mae_pct) AS median_mae_pct
  FROM (SELECT timeframe, symbol, (detected_ms / 3600000 % 24)::int AS hour, outcome, return_pct, mfe_pct, mae_pct
          FROM scanner.detection
         WHERE pattern = ANY ($1) AND outcome > 0  -- in here: around grouping sets no index would be used
           AND ($2::text IS NULL OR symbol = $2)
           AND ($3::smallint IS NULL OR timeframe = $3)) AS d
 GROUP BY GROUPING SETS ((), (timeframe), (symbol), (hour))
 ORDER BY level DESC, timeframe, symbol, hour;

-- name: performance_counts
-- Closed records and wins of some patterns in the same parts.
-- $1 patterns  $2 symbol or null  $3 timeframe or null
SELECT grouping(timeframe, symbol, hour) AS level, timeframe, symbol, hour, count(*) AS n,
       count(*) FILTER (WHERE outcome = 1) AS wins
  FROM (SELECT timeframe, symbol, (detected_ms / 3600000 % 24)::int AS hour, outcome
          FROM scanner.detection
         WHERE pattern = ANY ($1) AND outcome > 0  -- in here: around grouping sets no index would be used
           AND ($2::text IS NULL OR symbol = $2)
           AND ($3::smallint IS NULL OR timeframe = $3)) AS d
 GROUP BY GROUPING SETS ((), (timeframe), (symbol), (hour));

-- name: tallies
-- Closed records and wins of every pattern by symbol and timeframe.
SELECT pattern, symbol, timeframe, count(*) AS n, count(*) FILTER (WHERE outcome = 1) AS wins
  FROM scanner.detection
 WHERE outcome > 0
 GROUP BY pattern, symbol, timeframe;

-- name: forget
-- Closed records and neutral detections that were written before a moment go.
-- $1 before_ms
DELETE FROM scanner.detection WHERE stored_ms < $1 AND outcome IS DISTINCT FROM 0;

-- name: forget_feed
-- Feed events from before a moment go.
-- $1 before_ms
DELETE FROM scanner.feed_event WHERE created_ms < $1;

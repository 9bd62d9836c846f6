-- name: look
-- Remember what a holder sees now and give what it saw before (no row: nothing). Nothing is written when
-- it looks the same. Two looks at once come one after the other.
-- $1 holder, $2 symbol, $3 timeframe, $4 trend, $5 rsi_state, $6 patterns, $7 now in Unix ms
WITH before AS (
    SELECT trend, rsi_state, patterns
      FROM scanner.seen
     WHERE holder = $1 AND symbol = $2 AND timeframe = $3
       FOR UPDATE
), now AS (
    INSERT INTO scanner.seen AS seen (holder, symbol, timeframe, trend, rsi_state, patterns, changed_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (holder, symbol, timeframe) DO UPDATE
       SET trend = excluded.trend,
           rsi_state = excluded.rsi_state,
           patterns = excluded.patterns,
           changed_ms = excluded.changed_ms
     WHERE (seen.trend, seen.rsi_state, seen.patterns)
           IS DISTINCT FROM (excluded.trend, excluded.rsi_state, excluded.patterns)
)
SELECT trend, rsi_state, patterns FROM before;

-- name: judged_places
-- Every place whose bars are judged, with its trend.
SELECT symbol, timeframe, trend
  FROM scanner.place
 ORDER BY symbol, timeframe;

-- name: occurrences
-- The formations of one place, as they became known.
-- $1 symbol, $2 timeframe, $3 patterns
SELECT pattern, direction, confidence, known_ms
  FROM scanner.detection
 WHERE symbol = $1 AND timeframe = $2 AND NOT is_baseline AND pattern = ANY($3)
 ORDER BY known_ms, pattern;

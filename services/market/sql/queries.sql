-- The queries of market.

-- name: instruments
-- Every instrument with what was said of it.
SELECT id, symbol, said FROM market.instrument ORDER BY id;

-- name: add_instruments
-- Make instruments of these names known; a known one stays as it is.
-- $1 symbols
INSERT INTO market.instrument (symbol)
SELECT s.symbol FROM unnest($1::text[]) WITH ORDINALITY AS s (symbol, position)
 WHERE NOT EXISTS (SELECT FROM market.instrument AS i WHERE i.symbol = s.symbol)
 ORDER BY s.position
ON CONFLICT (symbol) DO NOTHING;

-- name: lock_instrument
-- The instrument of a name, locked against other changes.
-- $1 symbol
SELECT id, said FROM market.instrument WHERE symbol = $1 FOR UPDATE;

-- name: put_instrument
-- Make or change what is said of an instrument.
-- $1 symbol  $2 said
INSERT INTO market.instrument (symbol, said) VALUES ($1, $2)
ON CONFLICT (symbol) DO UPDATE SET said = EXCLUDED.said
RETURNING id;

-- name: groups
-- Every group with what was said of it.
SELECT name, said FROM market.account_group ORDER BY name;

-- name: add_groups
-- Make groups of these names known; a known one stays as it is.
-- $1 names
INSERT INTO market.account_group (name) SELECT unnest($1::text[]) ON CONFLICT (name) DO NOTHING;

-- name: put_group
-- Make or change what is said of a group.
-- $1 name  $2 said
INSERT INTO market.account_group (name, said) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET said = EXCLUDED.said;

-- name: source_id
-- The id of a source of candles.
-- $1 name
SELECT id FROM market.source WHERE name = $1;

-- name: add_source
-- Make a source of candles known.
-- $1 name
INSERT INTO market.source (name) VALUES ($1) ON CONFLICT (name) DO NOTHING;

-- name: quotes
-- The last quote of every symbol and the seq numbers spent.
SELECT instrument_id, seq_spent, bid, ask, ctm_ms FROM market.quote;

-- name: reserve_seqs
-- Spend seq numbers up to these ends, before they are used.
-- $1 instrument_ids  $2 ends
INSERT INTO market.quote AS q (instrument_id, seq_spent)
SELECT r.instrument_id, r.seq_end FROM unnest($1::int[], $2::bigint[]) AS r (instrument_id, seq_end)
ON CONFLICT (instrument_id) DO UPDATE SET seq_spent = greatest(q.seq_spent, EXCLUDED.seq_spent);

-- name: save_quotes
-- Keep the last quote of symbols.
-- $1 instrument_ids  $2 bids  $3 asks  $4 ctm_ms
UPDATE market.quote AS q
   SET bid = s.bid, ask = s.ask, ctm_ms = s.ctm_ms
  FROM unnest($1::int[], $2::float8[], $3::float8[], $4::bigint[]) AS s (instrument_id, bid, ask, ctm_ms)
 WHERE q.instrument_id = s.instrument_id;

-- name: settle_seqs
-- At an orderly stop: the numbers not used are not spent.
-- $1 instrument_ids  $2 last_seqs
UPDATE market.quote AS q
   SET seq_spent = s.last_seq
  FROM unnest($1::int[], $2::bigint[]) AS s (instrument_id, last_seq)
 WHERE q.instrument_id = s.instrument_id;

-- name: upsert_candles
-- Put candles in place; the later word about a bar holds. No bar may stand twice in one call.
-- $1 instrument_ids  $2 timeframes  $3 source_ids  $4 open_ms  $5 opens  $6 highs  $7 lows  $8 closes  $9 volumes
INSERT INTO market.candle
       (instrument_id, timeframe, source_id, open_ms, open, high, low, close, volume)
SELECT *
  FROM unnest($1::int[], $2::smallint[], $3::smallint[], $4::bigint[],
              $5::float8[], $6::float8[], $7::float8[], $8::float8[], $9::float8[])
ON CONFLICT (instrument_id, timeframe, open_ms) DO UPDATE
   SET source_id = EXCLUDED.source_id, open = EXCLUDED.open, high = EXCLUDED.high,
       low = EXCLUDED.low, close = EXCLUDED.close, volume = EXCLUDED.volume;

-- name: has_candles
-- Whether any candle of an instrument and timeframe opens in a range.
-- $1 instrument_id  $2 timeframe  $3 from_ms  $4 to_ms
SELECT EXISTS (SELECT FROM market.candle
                WHERE instrument_id = $1 AND timeframe = $2 AND open_ms BETWEEN $3 AND $4) AS has_candles;

-- name: candles
-- The newest candles that open in a range, newest first.
-- $1 instrument_id  $2 timeframe  $3 from_ms  $4 to_ms  $5 limit
SELECT open_ms, open, high, low, close, volume
  FROM market.candle
 WHERE instrument_id = $1 AND timeframe = $2 AND open_ms BETWEEN $3 AND $4
 ORDER BY open_ms DESC
 LIMIT $5;

-- name: latest_candles
-- The newest candles of several instruments, newest first in each.
-- $1 instrument_ids  $2 timeframe  $3 limit
SELECT i.instrument_id, c.open_ms, c.open, c.high, c.low, c.close, c.volume
  FROM unnest($1::int[]) AS i (instrument_id),
       LATERAL (SELECT * FROM market.candle AS k
                 WHERE k.instrument_id = i.instrument_id AND k.timeframe = $2
                 ORDER BY k.open_ms DESC LIMIT $3) AS c
 ORDER BY i.instrument_id, c.open_ms DESC;

-- name: candles_bulk
-- The newest candles of many places, each place's in one value: eight bytes a column, oldest first.
-- $1 instrument_ids  $2 timeframes  $3 from_ms  $4 to_ms  $5 limit of each place
SELECT c.packed, s.name AS source
  FROM unnest($1::int[], $2::smallint[], $3::bigint[], $4::bigint[])
       WITH ORDINALITY AS p (instrument_id, timeframe, from_ms, to_ms, position),
       LATERAL (SELECT string_agg(int8send(k.open_ms) || float8send(k.open) || float8send(k.high)
                                  || float8send(k.low) || float8send(k.close) || float8send(k.volume),
                                  ''::bytea ORDER BY k.open_ms) AS packed,
                       (array_agg(k.source_id ORDER BY k.open_ms DESC))[1] AS source_id
                  FROM (SELECT * FROM market.candle AS f
                         WHERE f.instrument_id = p.instrument_id AND f.timeframe = p.timeframe
                           AND f.open_ms BETWEEN p.from_ms AND p.to_ms
                         ORDER BY f.open_ms DESC LIMIT $5) AS k) AS c
  LEFT JOIN market.source AS s ON s.id = c.source_id
 ORDER BY p.position;

-- name: candles_at
-- The stored candles that open at these very places.
-- $1 instrument_ids  $2 timeframes  $3 open_ms
SELECT c.instrument_id, c.timeframe, c.open_ms, c.open, c.high, c.low, c.close, c.volume
  FROM unnest($1::int[], $2::smallint[], $3::bigint[]) AS p (instrument_id, timeframe, open_ms)
  JOIN market.candle AS c
    ON c.instrument_id = p.instrument_id AND c.timeframe = p.timeframe AND c.open_ms = p.open_ms;

-- name: cursor
-- How far a feed has been read.
-- $1 feed
SELECT at FROM market.cursor WHERE feed = $1;

-- name: save_cursor
-- Keep how far a feed has been read.
-- $1 feed  $2 at
INSERT INTO market.cursor (feed, at) VALUES ($1, $2)
ON CONFLICT (feed) DO UPDATE SET at = EXCLUDED.at;

-- name: watched
-- The watch list of an account.
-- $1 login
SELECT instrument_id, sort_index, color FROM market.watched WHERE login = $1 ORDER BY sort_index, instrument_id;

-- name: watch
-- Put a symbol on a watch list, behind the others, if there is room; twice is fine.
-- $1 login  $2 instrument_id  $3 symbols_max
INSERT INTO market.watched (login, instrument_id, sort_index)
SELECT $1, $2, coalesce(max(w.sort_index) + 1, 0) FROM market.watched AS w WHERE w.login = $1
HAVING count(*) < $3
ON CONFLICT (login, instrument_id) DO NOTHING;

-- name: is_watched
-- Whether a symbol is on a watch list.
-- $1 login  $2 instrument_id
SELECT EXISTS (SELECT FROM market.watched WHERE login = $1 AND instrument_id = $2) AS is_watched;

-- name: change_watched
-- Change place or colour of a watched symbol; null keeps what is there. No row: it is not watched.
-- $1 login  $2 instrument_id  $3 sort_index  $4 color
UPDATE market.watched
   SET sort_index = coalesce($3, sort_index), color = coalesce($4, color)
 WHERE login = $1 AND instrument_id = $2
RETURNING instrument_id;

-- name: unwatch
-- Take a symbol off a watch list; absent is fine.
-- $1 login  $2 instrument_id
DELETE FROM market.watched WHERE login = $1 AND instrument_id = $2;

-- name: lock_single
-- One market at a time: the session that gets this lock owns the seq numbers and the candles.
SELECT pg_try_advisory_lock(hashtext('tradewind market')) AS locked;

-- The queries of trading.

-- name: open_account
-- Make a margin account; no row comes back when the login has one.
-- $1 login  $2 person_id  $3 group  $4 currency  $5 leverage  $6 opened_ms
INSERT INTO trading.margin_account (login, person_id, group_name, currency, leverage, opened_ms)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (login) DO NOTHING
RETURNING login;

-- name: accounts
-- Margin accounts with the sums of their postings.
-- $1 logins
SELECT a.login, a.person_id, a.group_name, a.currency, a.leverage, a.opened_ms, a.enabled, a.read_only,
       a.level_type, a.rolled_day, a.extra,
       coalesce(sum(p.amount_minor) FILTER (WHERE l.kind = 'balance'), 0)::bigint AS balance_minor,
       coalesce(sum(p.amount_minor) FILTER (WHERE l.kind = 'credit'), 0)::bigint AS credit_minor
  FROM trading.margin_account AS a
  LEFT JOIN trading.ledger_account AS l
    ON l.login = a.login AND l.kind IN ('balance', 'credit') AND l.currency = a.currency
  LEFT JOIN trading.posting AS p ON p.account_id = l.id
 WHERE a.login = ANY ($1::bigint[])
 GROUP BY a.login;

-- name: busy_accounts
-- Every margin account with something open or waiting, with the sums of its postings.
SELECT a.login, a.person_id, a.group_name, a.currency, a.leverage, a.opened_ms, a.enabled, a.read_only,
       a.level_type, a.rolled_day, a.extra,
       coalesce(sum(p.amount_minor) FILTER (WHERE l.kind = 'balance'), 0)::bigint AS balance_minor,
       coalesce(sum(p.amount_minor) FILTER (WHERE l.kind = 'credit'), 0)::bigint AS credit_minor
  FROM trading.margin_account AS a
  LEFT JOIN trading.ledger_account AS l
    ON l.login = a.login AND l.kind IN ('balance', 'credit') AND l.currency = a.currency
  LEFT JOIN trading.posting AS p ON p.account_id = l.id
 WHERE a.login IN (SELECT login FROM trading.trade WHERE state = 0)
 GROUP BY a.login;

-- name: open_trades
-- The open positions and pending orders of accounts.
-- $1 logins
SELECT t."order", t.login, t.symbol, t.digits, t.cmd, t.state, t.reason, t.activation, t.volume, t.open_ms, t.close_ms,
       t.expiration_ms, t.open_points, t.close_points, t.sl_points, t.tp_points, t.margin_minor, t.margin_num,
       t.margin_den, t.profit_minor, t.commission_minor, t.storage_minor, t.rate_num, t.rate_den, t.comment,
       t.parent, t.deferred, t.extra
  FROM trading.trade AS t
 WHERE t.state = 0 AND t.login = ANY ($1::bigint[]);

-- name: all_open_trades
-- The open positions and pending orders of all accounts.
SELECT t."order", t.login, t.symbol, t.digits, t.cmd, t.state, t.reason, t.activation, t.volume, t.open_ms, t.close_ms,
       t.expiration_ms, t.open_points, t.close_points, t.sl_points, t.tp_points, t.margin_minor, t.margin_num,
       t.margin_den, t.profit_minor, t.commission_minor, t.storage_minor, t.rate_num, t.rate_den, t.comment,
       t.parent, t.deferred, t.extra
  FROM trading.trade AS t
 WHERE t.state = 0;

-- name: trades_by_order
-- Orders by their numbers, whatever became of them.
-- $1 orders
SELECT t."order", t.login, t.symbol, t.digits, t.cmd, t.state, t.reason, t.activation, t.volume, t.open_ms, t.close_ms,
       t.expiration_ms, t.open_points, t.close_points, t.sl_points, t.tp_points, t.margin_minor, t.margin_num,
       t.margin_den, t.profit_minor, t.commission_minor, t.storage_minor, t.rate_num, t.rate_den, t.comment,
       t.parent, t.deferred, t.extra
  FROM trading.trade AS t
 WHERE t."order" = ANY ($1::bigint[]);

-- name: make_ledger_accounts
-- Make the ledger accounts that are not there yet.
-- $1 kinds  $2 logins  $3 currencies
INSERT INTO trading.ledger_account (kind, login, currency)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[])
ON CONFLICT DO NOTHING;

-- name: post
-- Write one entry with all its postings; its id.
-- $1 reason  $2 trade  $3 posted_ms  $4 kinds  $5 logins  $6 currencies  $7 amounts_minor
WITH made AS (
    INSERT INTO trading.entry (reason, trade, posted_ms) VALUES ($1, $2, $3) RETURNING id
), posted AS (
    INSERT INTO trading.posting (entry_id, account_id, amount_minor)
    SELECT made.id, l.id, p.amount_minor
      FROM made,
           unnest($4::text[], $5::bigint[], $6::text[], $7::bigint[]) AS p (kind, login, currency, amount_minor)
      JOIN trading.ledger_account AS l USING (kind, login, currency)
    RETURNING 1
)
SELECT (SELECT id FROM made) AS id, (SELECT count(*) FROM posted) AS postings;

-- name: add_finance_trade
-- A balance or credit operation in the list of trades.
-- $1 order  $2 login  $3 cmd  $4 state  $5 amount_minor  $6 comment  $7 booked_ms
INSERT INTO trading.trade ("order", login, cmd, state, profit_minor, comment, open_ms, close_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7);

-- name: ledger_sums
-- What must be zero: the sum of all postings of each currency; no row when it is.
SELECT l.currency, sum(p.amount_minor)::bigint AS amount_minor
  FROM trading.posting AS p
  JOIN trading.ledger_account AS l ON l.id = p.account_id
 GROUP BY l.currency
HAVING sum(p.amount_minor) <> 0;

-- name: add_trades
-- Write orders that are not there yet.
-- $1 … $28 the columns in the order of trading.rows.TRADE_COLUMNS, extra last
INSERT INTO trading.trade ("order", login, symbol, digits, cmd, state, reason, activation, volume, open_ms, close_ms,
       expiration_ms, open_points, close_points, sl_points, tp_points, margin_minor, margin_num,
       margin_den, profit_minor, commission_minor, storage_minor, rate_num, rate_den, comment,
       parent, deferred, extra)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::smallint[], $5::smallint[], $6::smallint[],
            $7::smallint[], $8::smallint[], $9::bigint[], $10::bigint[], $11::bigint[],
            $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
            $17::bigint[], $18::numeric[], $19::numeric[], $20::bigint[], $21::bigint[],
            $22::bigint[], $23::numeric[], $24::numeric[], $25::text[], $26::bigint[], $27::text[],
            $28::jsonb[]);

-- name: change_trades
-- Write orders that changed.
-- $1 … $28 the columns in the order of trading.rows.TRADE_COLUMNS, extra last
UPDATE trading.trade AS t
   SET symbol = n.symbol, digits = n.digits, cmd = n.cmd, state = n.state, reason = n.reason, activation =
       n.activation, volume = n.volume, open_ms = n.open_ms, close_ms = n.close_ms, expiration_ms =
       n.expiration_ms, open_points = n.open_points, close_points = n.close_points, sl_points =
       n.sl_points, tp_points = n.tp_points, margin_minor = n.margin_minor, margin_num =
       n.margin_num, margin_den = n.margin_den, profit_minor = n.profit_minor, commission_minor =
       n.commission_minor, storage_minor = n.storage_minor, rate_num = n.rate_num, rate_den =
       n.rate_den, comment = n.comment, parent = n.parent, deferred = n.deferred, extra = n.extra
  FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::smallint[], $5::smallint[], $6::smallint[],
            $7::smallint[], $8::smallint[], $9::bigint[], $10::bigint[], $11::bigint[],
            $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
            $17::bigint[], $18::numeric[], $19::numeric[], $20::bigint[], $21::bigint[],
            $22::bigint[], $23::numeric[], $24::numeric[], $25::text[], $26::bigint[], $27::text[],
            $28::jsonb[])
    AS n ("order", login, symbol, digits, cmd, state, reason, activation, volume, open_ms, close_ms,
        expiration_ms, open_points, close_points, sl_points, tp_points, margin_minor, margin_num,
        margin_den, profit_minor, commission_minor, storage_minor, rate_num, rate_den, comment,
        parent, deferred, extra)
 WHERE t."order" = n."order";

-- name: change_accounts
-- Write what accounts may do, their level and the last day that was dealt with.
-- $1 logins  $2 groups  $3 leverages  $4 enabled  $5 read_only  $6 level_types  $7 rolled_days  $8 extras
UPDATE trading.margin_account AS a
   SET group_name = n.group_name, leverage = n.leverage, enabled = n.enabled, read_only = n.read_only,
       level_type = n.level_type, rolled_day = n.rolled_day, extra = n.extra
  FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::boolean[], $5::boolean[], $6::smallint[],
              $7::integer[], $8::jsonb[])
    AS n (login, group_name, leverage, enabled, read_only, level_type, rolled_day, extra)
 WHERE a.login = n.login;

-- name: take_orders
-- The next order numbers of the house.
-- $1 how many
SELECT nextval('trading.order_number') AS number FROM generate_series(1, $1::integer);

-- name: take_entries
-- The next numbers of ledger entries.
-- $1 how many
SELECT nextval(pg_get_serial_sequence('trading.entry', 'id')) AS number FROM generate_series(1, $1::integer);

-- name: ledger_accounts
-- Ledger accounts by what they hold.
-- $1 kinds  $2 logins  $3 currencies
SELECT l.kind, l.login, l.currency, l.id
  FROM trading.ledger_account AS l
  JOIN unnest($1::text[], $2::bigint[], $3::text[]) AS n (kind, login, currency) USING (kind, login, currency);

-- name: add_entries
-- Write ledger entries whose numbers are taken.
-- $1 ids  $2 reasons  $3 trades  $4 posted_ms
INSERT INTO trading.entry (id, reason, trade, posted_ms) OVERRIDING SYSTEM VALUE
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]);

-- name: add_postings
-- Write the postings of entries, all of each.
-- $1 entry_ids  $2 account_ids  $3 amounts_minor
INSERT INTO trading.posting (entry_id, account_id, amount_minor)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]);

-- name: seen
-- The last tick of every symbol and profile that was judged.
SELECT profile, symbol, seq, bid, ask, tick_ms, high, low FROM trading.seen;

-- name: put_seen
-- Remember how far ticks were judged.
-- $1 profiles  $2 symbols  $3 seqs  $4 bids  $5 asks  $6 tick_ms  $7 highs  $8 lows of the tick's minute
INSERT INTO trading.seen (profile, symbol, seq, bid, ask, tick_ms, high, low)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::float8[], $5::float8[], $6::bigint[],
                     $7::float8[], $8::float8[])
ON CONFLICT (profile, symbol) DO UPDATE
   SET seq = excluded.seq, bid = excluded.bid, ask = excluded.ask, tick_ms = excluded.tick_ms,
       high = excluded.high, low = excluded.low;

-- name: client_orders
-- What was accepted under clients' own order ids.
-- $1 logins  $2 client_order_ids
SELECT c.login, c.client_order_id, c.fingerprint, c.answer
  FROM trading.client_order AS c
  JOIN unnest($1::bigint[], $2::text[]) AS n (login, client_order_id) USING (login, client_order_id);

-- name: add_client_orders
-- Keep what was accepted under clients' own order ids.
-- $1 logins  $2 client_order_ids  $3 fingerprints  $4 answers  $5 accepted_ms
INSERT INTO trading.client_order (login, client_order_id, fingerprint, answer, accepted_ms)
SELECT n.*, $5::bigint FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bytea[]) AS n;

-- name: forget_client_orders
-- Forget client order ids from before a time; a bounded piece at a time.
-- $1 before_ms
DELETE FROM trading.client_order
 WHERE (login, client_order_id) IN (SELECT login, client_order_id FROM trading.client_order
                                     WHERE accepted_ms < $1 ORDER BY accepted_ms LIMIT 5000);

-- name: finished
-- A page of what ended, newest first: closed, cancelled, expired, and finance operations.
-- $1 login  $2 first cmd  $3 last cmd  $4 minor digits  $5 fields  $6 operations  $7 values as JSON  $8 limit  $9 offset
SELECT t."order", t.login, t.symbol, t.digits, t.cmd, t.state, t.reason, t.activation, t.volume, t.open_ms, t.close_ms,
       t.expiration_ms, t.open_points, t.close_points, t.sl_points, t.tp_points, t.margin_minor, t.margin_num,
       t.margin_den, t.profit_minor, t.commission_minor, t.storage_minor, t.rate_num, t.rate_den, t.comment,
       t.parent, t.deferred, t.extra
  FROM trading.trade AS t
 WHERE t.login = $1 AND t.state <> 0 AND t.cmd BETWEEN $2 AND $3
   AND NOT EXISTS (SELECT FROM unnest($5::text[], $6::text[], $7::text[]) AS c (field, operation, given)
                    WHERE NOT trading.holds(trading.shown(t, $4) -> c.field, c.operation, c.given::jsonb))
 ORDER BY t."order" DESC
 LIMIT $8 OFFSET $9;

-- name: finished_totals
-- Count and sums of what ended.
-- $1 login  $2 first cmd  $3 last cmd  $4 minor digits  $5 fields  $6 operations  $7 values as JSON
SELECT count(*) AS count, coalesce(sum(t.profit_minor), 0)::bigint AS profit_minor,
       coalesce(sum(t.storage_minor), 0)::bigint AS storage_minor,
       coalesce(sum(t.commission_minor), 0)::bigint AS commission_minor,
       coalesce(sum(t.volume), 0)::bigint AS volume
  FROM trading.trade AS t
 WHERE t.login = $1 AND t.state <> 0 AND t.cmd BETWEEN $2 AND $3
   AND NOT EXISTS (SELECT FROM unnest($5::text[], $6::text[], $7::text[]) AS c (field, operation, given)
                    WHERE NOT trading.holds(trading.shown(t, $4) -> c.field, c.operation, c.given::jsonb));

-- name: history
-- What ended in a span of time, newest first.
-- $1 login  $2 from_ms  $3 before_ms  $4 limit
SELECT t."order", t.login, t.symbol, t.digits, t.cmd, t.state, t.reason, t.activation, t.volume, t.open_ms, t.close_ms,
       t.expiration_ms, t.open_points, t.close_points, t.sl_points, t.tp_points, t.margin_minor, t.margin_num,
       t.margin_den, t.profit_minor, t.commission_minor, t.storage_minor, t.rate_num, t.rate_den, t.comment,
       t.parent, t.deferred, t.extra
  FROM trading.trade AS t
 WHERE t.login = $1 AND t.state <> 0 AND t.close_ms >= $2 AND t.close_ms < $3
 ORDER BY t."order" DESC
 LIMIT $4;

-- name: balances_before
-- The balance of an account at two earlier moments.
-- $1 login  $2 day_ms  $3 month_ms
SELECT coalesce(sum(p.amount_minor) FILTER (WHERE e.posted_ms < $2), 0)::bigint AS day_minor,
       coalesce(sum(p.amount_minor) FILTER (WHERE e.posted_ms < $3), 0)::bigint AS month_minor
  FROM trading.ledger_account AS l
  JOIN trading.posting AS p ON p.account_id = l.id
  JOIN trading.entry AS e ON e.id = p.entry_id
 WHERE l.login = $1 AND l.kind = 'balance';

-- name: house
-- Whether the kill switch of the house is pulled.
SELECT halted FROM trading.house;

-- name: halt_house
-- Pull the kill switch of the house, or let go of it.
-- $1 halted
UPDATE trading.house SET halted = $1;

-- name: put_note
-- Write a note to an order.
-- $1 login  $2 order  $3 note  $4 now_ms
INSERT INTO trading.note (login, "order", note, updated_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (login, "order") DO UPDATE SET note = excluded.note, updated_ms = excluded.updated_ms;

-- name: remove_note
-- Take a note away.
-- $1 login  $2 order
DELETE FROM trading.note WHERE login = $1 AND "order" = $2;

-- name: notes
-- Notes of an account, newest order first, or of one order.
-- $1 login  $2 order, null for all  $3 limit  $4 offset
SELECT "order", note, updated_ms
  FROM trading.note
 WHERE login = $1 AND ($2::bigint IS NULL OR "order" = $2)
 ORDER BY "order" DESC
 LIMIT $3 OFFSET $4;

-- name: add_fills
-- Keep how orders were filled.
-- $1 orders  $2 logins  $3 deals  $4 at_ms  $5 profiles  $6 latencies_ms  $7 quoted_points  $8 points  $9 asked_volumes
-- $10 volumes  $11 rejected
INSERT INTO trading.fill ("order", login, deal, at_ms, profile, latency_ms, quoted_points, points, asked_volume, volume,
       rejected)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::integer[], $7::bigint[],
            $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[]);

-- name: fills
-- How an order was filled by a simulation profile, in time.
-- $1 login  $2 order
SELECT f."order", f.deal, f.at_ms, f.profile, f.latency_ms, f.quoted_points, f.points, f.asked_volume,
       f.volume, f.rejected, t.digits
  FROM trading.fill AS f
  JOIN trading.trade AS t ON t."order" = f."order"
 WHERE f.login = $1 AND f."order" = $2
 ORDER BY f.id;

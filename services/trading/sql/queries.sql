-- The queries of trading.

-- name: open_account
-- Make a margin account; no row comes back when the login has one.
-- $1 login  $2 person_id  $3 group  $4 currency  $5 leverage  $6 opened_ms
INSERT INTO trading.margin_account (login, person_id, group_name, currency, leverage, opened_ms)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (login) DO NOTHING
RETURNING login;

-- name: account
-- A margin account with the sums of its postings.
-- $1 login
SELECT a.login, a.person_id, a.group_name, a.currency, a.leverage, a.opened_ms,
       coalesce(sum(p.amount_minor) FILTER (WHERE l.kind = 'balance'), 0)::bigint AS balance_minor,
       coalesce(sum(p.amount_minor) FILTER (WHERE l.kind = 'credit'), 0)::bigint AS credit_minor
  FROM trading.margin_account AS a
  LEFT JOIN trading.ledger_account AS l
    ON l.login = a.login AND l.kind IN ('balance', 'credit') AND l.currency = a.currency
  LEFT JOIN trading.posting AS p ON p.account_id = l.id
 WHERE a.login = $1
 GROUP BY a.login;

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
-- A balance or credit operation in the list of trades; its order number.
-- $1 login  $2 cmd  $3 state  $4 amount_minor  $5 comment  $6 booked_ms
INSERT INTO trading.trade (login, cmd, state, profit_minor, comment, open_ms, close_ms)
VALUES ($1, $2, $3, $4, $5, $6, $6)
RETURNING "order";

-- name: ledger_sums
-- What must be zero: the sum of all postings of each currency; no row when it is.
SELECT l.currency, sum(p.amount_minor)::bigint AS amount_minor
  FROM trading.posting AS p
  JOIN trading.ledger_account AS l ON l.id = p.account_id
 GROUP BY l.currency
HAVING sum(p.amount_minor) <> 0;

-- What `tradewind doctor` asks the database. {schema} stands for the service.

-- name: server_version
-- The server's version as text.
SELECT current_setting('server_version');

-- name: applied_migrations
-- The names and checksums of what was applied to a service's schema.
SELECT name, checksum FROM "{schema}".migration;

-- name: outbox_age
-- Facts that wait to be published: how many, and since how many seconds the oldest does.
SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age_s
  FROM "{schema}".outbox
 WHERE published_at IS NULL;

-- name: ledger_sums
-- Currencies in which all postings of trading do not sum to zero.
SELECT l.currency, sum(p.amount_minor)::bigint AS amount_minor
  FROM "{schema}".posting AS p
  JOIN "{schema}".ledger_account AS l ON l.id = p.account_id
 GROUP BY l.currency
HAVING sum(p.amount_minor) <> 0;

-- name: ledger_differences
-- Accounts whose postings are not what their closed orders and finance operations say, in minor units.
WITH posted AS (
    SELECT l.login, sum(p.amount_minor) FILTER (WHERE l.kind = 'balance') AS balance,
           sum(p.amount_minor) FILTER (WHERE l.kind = 'credit') AS credit
      FROM "{schema}".posting AS p
      JOIN "{schema}".ledger_account AS l ON l.id = p.account_id
     WHERE l.login > 0
     GROUP BY l.login
), recorded AS (
    SELECT login,
           sum(profit_minor + commission_minor + storage_minor) FILTER (WHERE cmd IN (0, 1, 6, 8)) AS balance,
           sum(profit_minor) FILTER (WHERE cmd IN (7, 9)) AS credit
      FROM "{schema}".trade
     WHERE state IN (3, 4, 5)
     GROUP BY login
)
SELECT coalesce(p.login, r.login) AS login,
       (coalesce(p.balance, 0) - coalesce(r.balance, 0))::bigint AS balance_minor,
       (coalesce(p.credit, 0) - coalesce(r.credit, 0))::bigint AS credit_minor
  FROM posted AS p
  FULL JOIN recorded AS r USING (login)
 WHERE coalesce(p.balance, 0) <> coalesce(r.balance, 0) OR coalesce(p.credit, 0) <> coalesce(r.credit, 0)
 ORDER BY 1;

-- name: ledger_size
-- How many entries the ledger has, over how many accounts of clients.
SELECT (SELECT count(*) FROM "{schema}".entry) AS entries,
       (SELECT count(*) FROM "{schema}".margin_account) AS accounts;

-- name: billing_sums
-- Currencies whose postings do not sum to zero.
SELECT a.currency, sum(p.amount_micros)::bigint AS amount_micros
  FROM billing.posting AS p JOIN billing.account AS a ON a.id = p.account_id
 GROUP BY a.currency HAVING sum(p.amount_micros) <> 0;

-- name: billing_wallets
-- Wallets whose kept balance or holds are not those of their postings and open calls.
SELECT w.name, w.balance_micros, w.held_micros, s.posted, h.held
  FROM billing.wallet AS w
 CROSS JOIN LATERAL (SELECT coalesce(sum(p.amount_micros), 0)::bigint AS posted
                       FROM billing.posting AS p WHERE p.account_id = w.account_id) AS s
 CROSS JOIN LATERAL (SELECT coalesce(sum(c.held_micros), 0)::bigint AS held
                       FROM billing.call AS c WHERE c.state = 0 AND c.wallet = w.name) AS h
 WHERE w.balance_micros <> s.posted OR w.held_micros <> h.held;

-- name: billing_charges
-- Entries of usage whose calls do not add up to what was posted.
SELECT e.id, sum(c.charged_micros)::bigint AS charged, p.amount_micros
  FROM billing.entry AS e
  JOIN billing.call AS c ON c.entry_id = e.id
  JOIN billing.posting AS p ON p.entry_id = e.id
  JOIN billing.account AS a ON a.id = p.account_id AND a.kind = 'revenue'
 WHERE e.reason = 'usage'
 GROUP BY e.id, p.amount_micros
HAVING sum(c.charged_micros) <> p.amount_micros;

-- name: billing_size
-- How much was looked at.
SELECT (SELECT count(*) FROM billing.posting) AS postings, (SELECT count(*) FROM billing.wallet) AS wallets;

-- name: clock
-- PostgreSQL's time, Unix milliseconds.
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms;

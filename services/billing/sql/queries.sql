-- The queries of billing: the ledger, wallets, metered calls, quotas and keys.

-- name: load
-- The rows a batch touches, locked: calls by request id (what 'c'), the wallets that are named and those of
-- the calls (what 'w').
-- $1 request_ids  $2 wallets
WITH c AS (
    SELECT request_id, wallet, operation, state, held_micros, charged_micros, quota, subject, day
      FROM billing.call WHERE request_id = ANY($1::text[])
     ORDER BY request_id FOR UPDATE
), w AS (
    SELECT name, account_id, balance_micros, held_micros
      FROM billing.wallet
     WHERE name = ANY($2::text[]) OR name IN (SELECT wallet FROM c)
     ORDER BY name FOR UPDATE
)
SELECT 'c' AS what, request_id AS name, state::bigint AS one, held_micros AS two, charged_micros AS three,
       wallet, operation, quota, subject, day
  FROM c
UNION ALL
SELECT 'w', name, account_id, balance_micros, held_micros, '', '', '', '', 0 FROM w;

-- name: hold
-- A batch of holds alone, in one statement. It fails as a whole where a call is known or a wallet is not as it
-- was remembered.
-- $1 now_ms  $2 request_ids  $3 wallets  $4 operations  $5 helds  $6 days | $7 wallets  $8 balances
-- $9 helds before  $10 helds
WITH moved AS (
    UPDATE billing.wallet AS w SET held_micros = a.held
      FROM unnest($7::text[], $8::bigint[], $9::bigint[], $10::bigint[]) AS a (name, balance, was_held, held)
     WHERE w.name = a.name AND w.balance_micros = a.balance AND w.held_micros = a.was_held
    RETURNING 1
), added AS (
    INSERT INTO billing.call (request_id, wallet, operation, state, held_micros, day, held_ms)
    SELECT c.request_id, c.wallet, c.operation, 0, c.held, c.day, $1::bigint
      FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::int[])
        AS c (request_id, wallet, operation, held, day)
)
SELECT billing.insist((SELECT count(*) FROM moved) = cardinality($7::text[]));

-- name: write
-- What a batch did, in one statement: new and ended calls, wallets, quotas, usage, and one entry of charges
-- per wallet ($27 is the entry's ref, $2 and $14 of a call name it or are ''). It fails as a whole where a new
-- call is known, or a wallet or an ended call is not as it was read.
-- $1 now_ms  $2 refs  $3 request_ids  $4 wallets  $5 operations  $6 states  $7 helds  $8 chargeds  $9 quotas
-- $10 subjects  $11 days | $12 ended ids  $13 states  $14 refs  $15 chargeds  $16 states before | $17 wallets
-- $18 balances  $19 helds  $20 balances before  $21 helds before | $22 subjects  $23 quotas  $24 days
-- $25 takens | $26 usage (JSON) | $27 refs  $28 plans | $29 posting refs  $30 accounts  $31 amounts
WITH entries AS (
    INSERT INTO billing.entry (reason, ref, posted_ms, plans)
    SELECT 'usage', r.ref, $1::bigint, $28::text FROM unnest($27::text[]) AS r (ref)
    RETURNING id, ref
), posted AS (
    INSERT INTO billing.posting (entry_id, account_id, amount_micros)
    SELECT e.id, p.account_id, p.amount
      FROM unnest($29::text[], $30::bigint[], $31::bigint[]) AS p (ref, account_id, amount)
      JOIN entries AS e USING (ref)
), added AS (
    INSERT INTO billing.call (request_id, wallet, operation, state, held_micros, charged_micros, quota,
                              subject, day, held_ms, ended_ms, entry_id)
    SELECT c.request_id, c.wallet, c.operation, c.state, c.held, c.charged, c.quota, c.subject, c.day,
           $1::bigint, CASE WHEN c.state = 0 THEN 0 ELSE $1::bigint END, e.id
      FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::bigint[],
                  $8::bigint[], $9::text[], $10::text[], $11::int[])
        AS c (ref, request_id, wallet, operation, state, held, charged, quota, subject, day)
      LEFT JOIN entries AS e ON e.ref = c.ref
), ended AS (
    UPDATE billing.call AS c
       SET state = d.state, charged_micros = d.charged, entry_id = d.entry_id, ended_ms = $1::bigint
      FROM (SELECT u.request_id, u.state, u.charged, u.was, e.id AS entry_id
              FROM unnest($12::text[], $13::smallint[], $14::text[], $15::bigint[], $16::smallint[])
                AS u (request_id, state, ref, charged, was)
              LEFT JOIN entries AS e ON e.ref = u.ref) AS d
     WHERE c.request_id = d.request_id AND c.state = d.was
    RETURNING 1
), moved AS (
    UPDATE billing.wallet AS w SET balance_micros = a.balance, held_micros = a.held
      FROM unnest($17::text[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[])
        AS a (name, balance, held, was_balance, was_held)
     WHERE w.name = a.name AND w.balance_micros = a.was_balance AND w.held_micros = a.was_held
    RETURNING 1
), counted AS (
    UPDATE billing.quota AS q SET taken = a.taken
      FROM unnest($22::text[], $23::text[], $24::int[], $25::int[]) AS a (subject, quota, day, taken)
     WHERE q.subject = a.subject AND q.quota = a.quota AND q.day = a.day
), used AS (
    INSERT INTO billing.usage_day (wallet, day, operation, calls, charged_micros)
    SELECT u.wallet, u.day, u.operation, u.calls, u.charged
      FROM jsonb_to_recordset($26::jsonb)
        AS u (wallet text, day integer, operation text, calls bigint, charged bigint)
    ON CONFLICT (wallet, day, operation) DO UPDATE
       SET calls = usage_day.calls + excluded.calls,
           charged_micros = usage_day.charged_micros + excluded.charged_micros
)
SELECT billing.insist((SELECT count(*) FROM ended) = cardinality($12::text[])
                      AND (SELECT count(*) FROM moved) = cardinality($17::text[]));

-- name: lock_wallet
-- One wallet, locked.
-- $1 name
SELECT name, account_id, balance_micros, held_micros FROM billing.wallet WHERE name = $1 FOR UPDATE;

-- name: wallet
-- One wallet.
-- $1 name
SELECT name, account_id, balance_micros, held_micros FROM billing.wallet WHERE name = $1;

-- name: lock_quotas
-- What subjects have taken of a quota on a day, locked in one order.
-- $1 subjects  $2 quotas  $3 days
SELECT q.subject, q.quota, q.day, q.taken
  FROM billing.quota AS q
  JOIN unnest($1::text[], $2::text[], $3::int[]) AS a (subject, quota, day) USING (subject, quota, day)
 ORDER BY q.subject, q.quota, q.day FOR UPDATE OF q;

-- name: quota
-- What a subject has taken of a quota on a day.
-- $1 subject  $2 quota  $3 day
SELECT taken FROM billing.quota WHERE subject = $1 AND quota = $2 AND day = $3;

-- name: make_quotas
-- Make the rows of a day, so that they can be locked.
-- $1 subjects  $2 quotas  $3 days
INSERT INTO billing.quota (subject, quota, day, taken)
SELECT subject, quota, day, 0 FROM unnest($1::text[], $2::text[], $3::int[]) AS a (subject, quota, day)
ON CONFLICT DO NOTHING;

-- name: put_wallets
-- Write balances and holds.
-- $1 names  $2 balances  $3 helds
UPDATE billing.wallet AS w SET balance_micros = a.balance, held_micros = a.held
  FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS a (name, balance, held)
 WHERE w.name = a.name;

-- name: make_wallet
-- Make a wallet for its ledger account; nothing when it is there.
-- $1 name  $2 account_id
INSERT INTO billing.wallet (name, account_id) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: usage
-- What a wallet used since a day, newest first.
-- $1 wallet  $2 from_day
SELECT day, operation, calls, charged_micros
  FROM billing.usage_day WHERE wallet = $1 AND day >= $2
 ORDER BY day DESC, operation;

-- name: make_accounts
-- Make the ledger accounts that are not there yet.
-- $1 kinds  $2 refs  $3 currencies
INSERT INTO billing.account (kind, ref, currency)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
ON CONFLICT DO NOTHING;

-- name: account_id
-- The id of a ledger account.
-- $1 kind  $2 ref  $3 currency
SELECT id FROM billing.account WHERE kind = $1 AND ref = $2 AND currency = $3;

-- name: add_entry
-- Write an entry's head; no row when it happened before.
-- $1 reason  $2 ref  $3 posted_ms  $4 plans  $5 note
INSERT INTO billing.entry (reason, ref, posted_ms, plans, note)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (reason, ref) DO NOTHING
RETURNING id;

-- name: add_postings_by_name
-- Write the postings of one entry; how many.
-- $1 entry_id  $2 kinds  $3 refs  $4 currencies  $5 amounts
INSERT INTO billing.posting (entry_id, account_id, amount_micros)
SELECT $1, a.id, p.amount
  FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) AS p (kind, ref, currency, amount)
  JOIN billing.account AS a USING (kind, ref, currency);

-- name: stale_calls
-- Held calls that nobody came back for.
-- $1 before_ms  $2 limit
SELECT request_id FROM billing.call WHERE state = 0 AND held_ms < $1 ORDER BY held_ms LIMIT $2;

-- name: one_look
-- What follows in this transaction sees one state of the house: between two statements others may book.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: ledger_sums
-- What must be zero: the sum of all postings of each currency; no row when it is.
SELECT a.currency, sum(p.amount_micros)::bigint AS amount_micros
  FROM billing.posting AS p JOIN billing.account AS a ON a.id = p.account_id
 GROUP BY a.currency HAVING sum(p.amount_micros) <> 0;

-- name: wrong_wallets
-- Wallets whose kept balance or holds are not those of their postings and open calls.
SELECT w.name, w.balance_micros, w.held_micros, s.posted, h.held
  FROM billing.wallet AS w
 CROSS JOIN LATERAL (SELECT coalesce(sum(p.amount_micros), 0)::bigint AS posted
                       FROM billing.posting AS p WHERE p.account_id = w.account_id) AS s
 CROSS JOIN LATERAL (SELECT coalesce(sum(c.held_micros), 0)::bigint AS held
                       FROM billing.call AS c WHERE c.state = 0 AND c.wallet = w.name) AS h
 WHERE w.balance_micros <> s.posted OR w.held_micros <> h.held;

-- name: wrong_charges
-- Usage entries whose calls do not add up to what was posted.
SELECT e.id, sum(c.charged_micros)::bigint AS charged, p.amount_micros
  FROM billing.entry AS e
  JOIN billing.call AS c ON c.entry_id = e.id
  JOIN billing.posting AS p ON p.entry_id = e.id
  JOIN billing.account AS a ON a.id = p.account_id AND a.kind = 'revenue'
 WHERE e.reason = 'usage'
 GROUP BY e.id, p.amount_micros
HAVING sum(c.charged_micros) <> p.amount_micros;

-- name: key
-- A key auth made.
-- $1 key_id
SELECT key_id, wallet, person_id, mode, granted_micros FROM billing.key WHERE key_id = $1;

-- name: add_key
-- Remember a key; no row when it is known.
-- $1 key_id  $2 wallet  $3 person_id  $4 mode  $5 granted_micros  $6 issued_ms
INSERT INTO billing.key (key_id, wallet, person_id, mode, granted_micros, issued_ms)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING key_id;

-- name: lock_starters
-- One at a time for an e-mail and an address, until the transaction ends.
-- $1 email_key  $2 address
SELECT pg_advisory_xact_lock(hashtextextended('starter e ' || $1, 0)) AS email,
       pg_advisory_xact_lock(hashtextextended('starter a ' || $2, 0)) AS address;

-- name: starter_given
-- Whether an e-mail had its starter credit.
-- $1 email_key
SELECT true FROM billing.starter WHERE email_key = $1;

-- name: starters_of_address
-- How many an address was given on a day.
-- $1 address  $2 day
SELECT given FROM billing.starter_address WHERE address = $1 AND day = $2;

-- name: add_starter
-- An e-mail has its starter credit.
-- $1 email_key  $2 wallet  $3 micros  $4 given_ms
INSERT INTO billing.starter (email_key, wallet, micros, given_ms) VALUES ($1, $2, $3, $4);

-- name: count_starter
-- One more for an address.
-- $1 address  $2 day
INSERT INTO billing.starter_address (address, day, given) VALUES ($1, $2, 1)
ON CONFLICT (address, day) DO UPDATE SET given = starter_address.given + 1;

-- name: put_plans
-- These prices and plans are in force.
-- $1 version  $2 body  $3 since_ms
INSERT INTO billing.plans (version, body, since_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

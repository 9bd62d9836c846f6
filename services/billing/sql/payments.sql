-- The queries of billing about payments, plans, invoices and affiliates.

-- name: add_payment
-- Write a new payment; no row when its ref is known, unless that one failed: then it is tried anew.
-- $1 id  $2 provider  $3 ref  $4 purpose  $5 status  $6 rank  $7 wallet  $8 person_id  $9 plan  $10 period
-- $11 request_id  $12 amount  $13 external  $14 payer  $15 detail  $16 now_ms
INSERT INTO billing.payment (id, provider, ref, purpose, status, rank, wallet, person_id, plan, period,
                             request_id, amount_micros, external, payer, detail, created_ms, tried_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16)
ON CONFLICT (provider, ref) DO UPDATE
   SET purpose = excluded.purpose, status = excluded.status, rank = excluded.rank, wallet = excluded.wallet,
       person_id = excluded.person_id, plan = excluded.plan, period = excluded.period,
       request_id = excluded.request_id, amount_micros = excluded.amount_micros, payer = excluded.payer,
       detail = excluded.detail, tried_ms = excluded.tried_ms, note = ''
 WHERE payment.status = 'failed' AND payment.provider = 'x402'
RETURNING id;

-- name: payment
-- A payment, locked.
-- $1 id
SELECT id, provider, ref, purpose, status, wallet, person_id, plan, period, request_id, amount_micros,
       paid_micros, external, transaction, payer, detail, note, created_ms, settled_ms, tried_ms
  FROM billing.payment WHERE id = $1 FOR UPDATE;

-- name: payment_by_ref
-- A payment by the name that makes it unique, locked.
-- $1 provider  $2 ref
SELECT id, provider, ref, purpose, status, wallet, person_id, plan, period, request_id, amount_micros,
       paid_micros, external, transaction, payer, detail, note, created_ms, settled_ms, tried_ms
  FROM billing.payment WHERE provider = $1 AND ref = $2 FOR UPDATE;

-- name: payment_by_external
-- A payment by the provider's own name of it, locked.
-- $1 provider  $2 external
SELECT id, provider, ref, purpose, status, wallet, person_id, plan, period, request_id, amount_micros,
       paid_micros, external, transaction, payer, detail, note, created_ms, settled_ms, tried_ms
  FROM billing.payment WHERE provider = $1 AND external = $2 FOR UPDATE;

-- name: payment_by_request
-- The payment a metered call came with, locked.
-- $1 request_id
SELECT id, provider, ref, purpose, status, wallet, person_id, plan, period, request_id, amount_micros,
       paid_micros, external, transaction, payer, detail, note, created_ms, settled_ms, tried_ms
  FROM billing.payment WHERE request_id = $1 AND request_id <> '' FOR UPDATE;

-- name: is_taken
-- Whether a transaction has paid for another payment.
-- $1 provider  $2 transaction  $3 id
SELECT EXISTS (SELECT FROM billing.payment WHERE provider = $1 AND transaction = $2 AND id <> $3);

-- name: put_payment
-- Write where a payment stands.
-- $1 id  $2 status  $3 rank  $4 paid_micros  $5 external  $6 transaction  $7 note  $8 settled_ms  $9 wallet
-- $10 person_id
UPDATE billing.payment
   SET status = $2, rank = $3, paid_micros = $4, external = $5, transaction = $6, note = $7, settled_ms = $8,
       wallet = $9, person_id = $10
 WHERE id = $1;

-- name: set_external
-- What the provider calls a payment.
-- $1 id  $2 external
UPDATE billing.payment SET external = $2 WHERE id = $1;

-- name: payments
-- Payments of a status, oldest first; "" is every one that waits for staff or an answer. Callbacks that fit no
-- payment stand among those that are held.
-- $1 status  $2 limit  $3 offset
SELECT id, provider, ref, purpose, status, wallet, person_id, plan, period, request_id, amount_micros,
       paid_micros, external, transaction, payer, detail, note, created_ms, settled_ms, tried_ms
  FROM billing.payment
 WHERE status = $1 OR ($1 = '' AND status IN ('held', 'unknown'))
UNION ALL
SELECT 'callback:' || provider || ':' || event_id, provider, event_id, 'callback', 'held', '', NULL, '', '', '',
       0, 0, '', NULL, '', '', left(body, 2000), received_ms, 0, 0
  FROM billing.callback
 WHERE outcome = 'stray' AND $1 IN ('', 'held')
 ORDER BY created_ms, id LIMIT $2 OFFSET $3;

-- name: end_callback
-- Staff has looked at a callback that fitted nothing; no row when none of this name waits.
-- $1 id (as staff sees it)  $2 outcome
UPDATE billing.callback SET outcome = $2
 WHERE outcome = 'stray' AND 'callback:' || provider || ':' || event_id = $1
RETURNING provider, event_id, received_ms, body;

-- name: claim_to_try
-- Payments to ask about again, not tried since a moment; they are marked as tried.
-- $1 before_ms  $2 now_ms  $3 limit
UPDATE billing.payment SET tried_ms = $2
 WHERE id IN (SELECT id FROM billing.payment
               WHERE provider = 'x402' AND status IN ('pending', 'unknown') AND tried_ms < $1
               ORDER BY tried_ms LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING id;

-- name: pending_payments
-- How many payments have no outcome yet.
SELECT count(*) FROM billing.payment WHERE status = 'unknown';

-- name: add_callback
-- Remember an event of a provider; no row when it was taken before.
-- $1 provider  $2 event_id  $3 outcome  $4 received_ms  $5 body
INSERT INTO billing.callback (provider, event_id, outcome, received_ms, body)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING event_id;

-- name: lock_person
-- One at a time for a person's plans, until the transaction ends.
-- $1 person_id
SELECT pg_advisory_xact_lock(hashtextextended('plans of ' || $1::bigint::text, 0));

-- name: subscriptions
-- A person's plans that have not ended before a moment, in order of time.
-- $1 person_id  $2 now_ms
SELECT id, person_id, payment_id, plan, period, price_micros, starts_ms, ends_ms,
       coalesce(value_micros, price_micros) AS value_micros, carried_into, carried_micros
  FROM billing.subscription WHERE person_id = $1 AND ends_ms > $2
 ORDER BY starts_ms, id;

-- name: subscription_of_payment
-- The plan a payment bought.
-- $1 payment_id
SELECT id, person_id, payment_id, plan, period, price_micros, starts_ms, ends_ms,
       coalesce(value_micros, price_micros) AS value_micros, carried_into, carried_micros
  FROM billing.subscription WHERE payment_id = $1;

-- name: add_subscription
-- A plan that was bought.
-- $1 id  $2 person_id  $3 payment_id  $4 plan  $5 period  $6 price_micros  $7 starts_ms  $8 ends_ms
-- $9 value_micros
INSERT INTO billing.subscription (id, person_id, payment_id, plan, period, price_micros, starts_ms, ends_ms,
                                  value_micros)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: move_subscription
-- A plan has another span now, and why.
-- $1 id  $2 starts_ms  $3 ends_ms  $4 reason  $5 value_micros  $6 carried_into  $7 carried_micros
UPDATE billing.subscription
   SET starts_ms = $2, ends_ms = $3, ended_reason = $4, value_micros = $5, carried_into = $6, carried_micros = $7
 WHERE id = $1;

-- name: tier_due
-- Auth must be told a person's tier, now or at a later moment; the earliest counts. Each transaction's change is
-- another one: who tells of the one before must not take this one for told.
-- $1 person_id  $2 due_ms
INSERT INTO billing.tier_due (person_id, due_ms, change) VALUES ($1, $2, pg_current_xact_id()::text::bigint)
ON CONFLICT (person_id) DO UPDATE
   SET due_ms = least(tier_due.due_ms, excluded.due_ms), change = excluded.change;

-- name: tiers_due
-- Whose tier must be told now, and the change it is about.
-- $1 now_ms  $2 limit
SELECT person_id, change FROM billing.tier_due WHERE due_ms <= $1 ORDER BY due_ms LIMIT $2;

-- name: tier_told
-- It was told; when it changes next, if it does (0: never). A change meanwhile stays due.
-- $1 person_id  $2 change  $3 next_ms
WITH told AS (
    DELETE FROM billing.tier_due
     WHERE person_id = $1 AND change = $2 AND $3::bigint = 0
)
UPDATE billing.tier_due SET due_ms = $3::bigint, change = pg_current_xact_id()::text::bigint
 WHERE person_id = $1 AND change = $2 AND $3::bigint > 0;

-- name: add_invoice
-- A paid invoice; its number.
-- $1 payment_id  $2 person_id  $3 wallet  $4 lines  $5 total_micros  $6 status  $7 issued_ms
INSERT INTO billing.invoice (payment_id, person_id, wallet, lines, total_micros, status, issued_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (payment_id) DO UPDATE SET status = excluded.status RETURNING number;

-- name: set_invoice
-- An invoice was paid back.
-- $1 payment_id  $2 status
UPDATE billing.invoice SET status = $2 WHERE payment_id = $1;

-- name: invoices
-- Invoices of a person or a wallet, newest first.
-- $1 person_id  $2 wallet  $3 limit
SELECT number, payment_id, person_id, wallet, lines, total_micros, status, issued_ms
  FROM billing.invoice
 WHERE ($1::bigint IS NOT NULL AND person_id = $1) OR wallet = $2
 ORDER BY number DESC LIMIT $3;

-- name: invoice
-- One invoice.
-- $1 number
SELECT number, payment_id, person_id, wallet, lines, total_micros, status, issued_ms
  FROM billing.invoice WHERE number = $1;

-- name: claim_topups
-- A payment's credit goes over to a key, and with it what its payer once paid in and nobody came for (the
-- process died before a key was made). Which payments, and how much.
-- $1 wallet of the payer  $2 wallet of the key  $3 payment id  $4 settled before (ms)
UPDATE billing.payment SET external = $2
 WHERE provider = 'x402' AND purpose = 'topup' AND status = 'settled' AND wallet = $1 AND external = ''
   AND (id = $3 OR settled_ms < $4)
RETURNING id, amount_micros;

-- name: hand_over_invoices
-- Invoices of payments go over to another wallet.
-- $1 payment_ids  $2 wallet
UPDATE billing.invoice SET wallet = $2 WHERE payment_id = ANY($1::text[]);

-- name: add_code
-- An affiliate code; no row when the text is taken.
-- $1 code  $2 person_id  $3 created_ms
INSERT INTO billing.affiliate_code (code, person_id, created_ms) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING code;

-- name: codes
-- A person's codes with what came by them, oldest first.
-- $1 person_id
SELECT c.code, c.created_ms, count(r.person_id) AS signups,
       count(r.person_id) FILTER (WHERE EXISTS (
           SELECT FROM billing.commission AS m WHERE m.referred_id = r.person_id AND m.status <> 'reversed'
       )) AS conversions
  FROM billing.affiliate_code AS c LEFT JOIN billing.referral AS r USING (code)
 WHERE c.person_id = $1
 GROUP BY c.code ORDER BY c.created_ms, c.code;

-- name: code_owner
-- Whose a code is.
-- $1 code
SELECT person_id FROM billing.affiliate_code WHERE code = $1;

-- name: add_referral
-- A person came by a code; the first that counts stays.
-- $1 person_id  $2 code  $3 referrer_id  $4 masked  $5 joined_ms
INSERT INTO billing.referral (person_id, code, referrer_id, masked, joined_ms)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING person_id;

-- name: referral
-- By whom a person came.
-- $1 person_id
SELECT person_id, referrer_id, joined_ms FROM billing.referral WHERE person_id = $1;

-- name: referrals
-- How many came by a person, and how many of them paid.
-- $1 referrer_id
SELECT count(*) AS referrals,
       count(*) FILTER (WHERE EXISTS (
           SELECT FROM billing.commission AS m WHERE m.referred_id = r.person_id AND m.status <> 'reversed'
       )) AS paid
  FROM billing.referral AS r WHERE referrer_id = $1;

-- name: add_commission
-- A share of a paid invoice; no row when the payment had one.
-- $1 id  $2 referrer_id  $3 referred_id  $4 payment_id  $5 plan  $6 amount_micros  $7 created_ms
-- $8 approves_ms
INSERT INTO billing.commission (id, referrer_id, referred_id, payment_id, plan, amount_micros, status,
                                created_ms, approves_ms)
VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $8) ON CONFLICT (payment_id) DO NOTHING RETURNING id;

-- name: reverse_commission
-- The invoice was paid back: its share is not owed, unless it was paid out already.
-- $1 payment_id
UPDATE billing.commission SET status = 'reversed'
 WHERE payment_id = $1 AND status IN ('pending', 'approved')
RETURNING id, referrer_id, amount_micros;

-- name: approve_commissions
-- Shares that were held back long enough.
-- $1 now_ms
UPDATE billing.commission SET status = 'approved' WHERE status = 'pending' AND approves_ms <= $1;

-- name: pay_commissions
-- What is owed to a person goes out with a payout.
-- $1 referrer_id  $2 payout  $3 paid_ms
UPDATE billing.commission SET status = 'paid', payout = $2, paid_ms = $3
 WHERE referrer_id = $1 AND status = 'approved'
RETURNING amount_micros;

-- name: payout
-- What went out with a payout: to whom, how many shares, how much.
-- $1 payout
SELECT referrer_id, count(*) AS shares, sum(amount_micros)::bigint AS micros
  FROM billing.commission WHERE payout = $1 GROUP BY referrer_id;

-- name: commission_sums
-- What a person earned, by status.
-- $1 referrer_id
SELECT status, sum(amount_micros)::bigint AS micros
  FROM billing.commission WHERE referrer_id = $1 GROUP BY status;

-- name: commissions
-- A person's shares, newest first, before a place.
-- $1 referrer_id  $2 before_ms  $3 before_id  $4 limit
SELECT m.id, r.masked, m.plan, m.amount_micros, m.status, m.created_ms, m.paid_ms
  FROM billing.commission AS m JOIN billing.referral AS r ON r.person_id = m.referred_id
 WHERE m.referrer_id = $1 AND (m.created_ms, m.id) < ($2, $3)
 ORDER BY m.created_ms DESC, m.id DESC LIMIT $4;

-- What the demonstration shows of billing's ledger.

-- name: lines
-- Every entry that a payment made, with its postings, oldest first.
SELECT e.id, e.reason, a.kind || CASE WHEN a.ref = '' THEN '' ELSE ' ' || a.ref END AS account, p.amount_micros
  FROM billing.entry AS e
  JOIN billing.posting AS p ON p.entry_id = e.id
  JOIN billing.account AS a ON a.id = p.account_id
 ORDER BY e.id, p.amount_micros DESC;

-- name: total
-- What everything sums to.
SELECT coalesce(sum(amount_micros), 0)::bigint FROM billing.posting;

-- The queries of the notifier. Columns come in the order of the values that read them (store.py).
-- 4611686018427387904 (2^62) is "nothing waits"; it stands in the text so that the partial index is used.
-- ── people and accounts ─────────────────────────────────────────────────────────────────────────────

-- name: add_person
-- Know a person; a known one stays as it is.
-- $1 person_id  $2 now_ms
INSERT INTO notifier.person (person_id, updated_ms) VALUES ($1, $2)
ON CONFLICT DO NOTHING;

-- name: add_account
-- Whose account a login is.
-- $1 login  $2 person_id
INSERT INTO notifier.account (login, person_id) VALUES ($1, $2)
ON CONFLICT (login) DO UPDATE SET person_id = EXCLUDED.person_id;

-- name: owner
-- The person behind a login, what it said, and its addresses that can be used: at least one row for a known
-- login.
-- $1 login
SELECT p.person_id, p.said, r.id AS recipient_id, r.channel, r.waiting
  FROM notifier.account AS a
  JOIN notifier.person AS p USING (person_id)
  LEFT JOIN notifier.recipient AS r ON r.person_id = p.person_id AND r.status = 'verified'
 WHERE a.login = $1
 ORDER BY r.id;

-- name: person_reached
-- A person, what it said, and its addresses that can be used: at least one row for a known person.
-- $1 person_id
SELECT p.person_id, p.said, r.id AS recipient_id, r.channel, r.waiting
  FROM notifier.person AS p
  LEFT JOIN notifier.recipient AS r ON r.person_id = p.person_id AND r.status = 'verified'
 WHERE p.person_id = $1
 ORDER BY r.id;

-- name: is_known
-- Whether somebody told whose account a login is.
-- $1 login
SELECT EXISTS (SELECT FROM notifier.account WHERE login = $1) AS known;

-- name: said
-- What a person said.
-- $1 person_id
SELECT said FROM notifier.person WHERE person_id = $1;

-- name: lock_said
-- What a person said, held until the commit.
-- $1 person_id
SELECT said FROM notifier.person WHERE person_id = $1 FOR UPDATE;

-- name: set_said
-- Keep what a person says now.
-- $1 person_id  $2 said  $3 now_ms
UPDATE notifier.person SET said = $2, updated_ms = $3 WHERE person_id = $1;

-- ── recipients ──────────────────────────────────────────────────────────────────────────────────────

-- name: insert_recipient
-- A new address.
-- $1 person_id  $2 channel  $3 target  $4 target_key  $5 target_masked  $6 status  $7 code_hash
-- $8 code_until_ms  $9 now_ms
INSERT INTO notifier.recipient (person_id, channel, target, target_key, target_masked, status, code_hash,
                                code_until_ms, created_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: mail_recipient
-- Where another service has mail sent.
-- $1 channel  $2 target_key
SELECT id FROM notifier.recipient WHERE channel = $1 AND target_key = $2 AND person_id IS NULL;

-- name: bindings
-- The bindings of a person that were not taken away.
-- $1 person_id
SELECT id, channel, target, target_key, target_masked, status, generation, previous_until_ms, code_hash,
       code_until_ms, code_tries, created_ms, waiting, last_error
  FROM notifier.recipient
 WHERE person_id = $1 AND status <> 'closed'
 ORDER BY created_ms, id;

-- name: binding
-- One of them, held until the commit.
-- $1 person_id  $2 channel
SELECT id, channel, target, target_key, target_masked, status, generation, previous_until_ms, code_hash,
       code_until_ms, code_tries, created_ms, waiting, last_error
  FROM notifier.recipient
 WHERE person_id = $1 AND channel = $2 AND status <> 'closed'
   FOR UPDATE;

-- name: binds_since
-- How many bindings a person tried.
-- $1 person_id  $2 since_ms
SELECT count(*) AS count
  FROM notifier.recipient
 WHERE person_id = $1 AND created_ms >= $2 AND channel <> 'email';

-- name: verify
-- An address is proved; no row comes back when it no longer waits for that.
-- $1 id
UPDATE notifier.recipient SET status = 'verified', code_hash = '', code_until_ms = 0
 WHERE id = $1 AND status = 'pending'
RETURNING person_id;

-- name: owner_of
-- Whose binding it is.
-- $1 id
SELECT person_id FROM notifier.recipient WHERE id = $1;

-- name: retarget
-- The address turned out to be known under another name: a chat's id for a user's name.
-- $1 id  $2 target  $3 target_key
UPDATE notifier.recipient SET target = $2, target_key = $3 WHERE id = $1;

-- name: set_code
-- A new code for a binding that is not proved yet.
-- $1 id  $2 code_hash  $3 code_until_ms
UPDATE notifier.recipient SET code_hash = $2, code_until_ms = $3, code_tries = 0 WHERE id = $1;

-- name: count_try
-- A wrong code was given.
-- $1 id
UPDATE notifier.recipient SET code_tries = code_tries + 1 WHERE id = $1;

-- name: pending_by_code
-- The bindings of a channel that wait for this code.
-- $1 channel  $2 code_hash  $3 now_ms
SELECT id, channel, target, target_key, target_masked, status, generation, previous_until_ms, code_hash,
       code_until_ms, code_tries, created_ms, waiting, last_error
  FROM notifier.recipient
 WHERE channel = $1 AND status = 'pending' AND code_hash = $2 AND code_until_ms > $3
   FOR UPDATE;

-- name: is_awaited
-- Whether a channel waits for a code.
-- $1 channel  $2 now_ms
SELECT EXISTS (SELECT FROM notifier.recipient
                WHERE channel = $1 AND status = 'pending' AND code_until_ms > $2) AS awaited;

-- name: close_recipient
-- A binding is taken away; what waits for it is dealt with by end_waiting.
-- $1 id
UPDATE notifier.recipient
   SET status = 'closed', waiting = 0, due_ms = 4611686018427387904, code_hash = '', code_until_ms = 0
 WHERE id = $1;

-- name: rotate
-- The next signing secret; the one before it signs, too, until a time.
-- $1 id  $2 previous_until_ms
UPDATE notifier.recipient SET generation = generation + 1, previous_until_ms = $2
 WHERE id = $1
RETURNING generation;

-- name: wake_deliveries
-- What was held back for a person may go at another time now: look again. What failed before keeps its time.
-- $1 person_id  $2 now_ms
UPDATE notifier.delivery SET due_ms = $2
 WHERE state = 'pending' AND attempts = 0 AND due_ms > $2
   AND recipient_id IN (SELECT id FROM notifier.recipient WHERE person_id = $1 AND waiting > 0);

-- name: wake_recipients
-- The same for where it goes.
-- $1 person_id  $2 now_ms
UPDATE notifier.recipient SET due_ms = least(due_ms, greatest($2, not_before_ms))
 WHERE person_id = $1 AND waiting > 0;

-- ── notifications ───────────────────────────────────────────────────────────────────────────────────

-- name: insert_notification
-- What an account is told.
-- $1 login  $2 event_id  $3 token  $4 message  $5 description  $6 data  $7 level  $8 type  $9 status
-- $10 create_time
INSERT INTO notifier.notification (login, event_id, token, message, description, data, level, type, status,
                                   create_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: notifications
-- A page, newest first; the filter is a part of the message in any case, empty is all.
-- $1 login  $2 filter  $3 limit  $4 offset
SELECT id, token, message, create_time, open_time, type, status, level, description, data
  FROM notifier.notification
 WHERE login = $1 AND ($2 = '' OR position(lower($2) in lower(message)) > 0)
 ORDER BY id DESC
 LIMIT $3 OFFSET $4;

-- name: mark_read
-- Mark as read: the ids, and all up to one.
-- $1 login  $2 ids  $3 up_to  $4 now_s
UPDATE notifier.notification SET status = 2, open_time = $4
 WHERE login = $1 AND status <> 2 AND (id = ANY($2::bigint[]) OR id <= $3)
RETURNING id;

-- ── deliveries ──────────────────────────────────────────────────────────────────────────────────────

-- name: insert_deliveries
-- One message for several recipients.
-- $1 recipient_ids  $2 states  $3 last_errors  $4 event_id  $5 login  $6 type  $7 level  $8 title  $9 body
-- $10 data  $11 sealed  $12 traceparent  $13 now_ms  $14 expires_ms
INSERT INTO notifier.delivery (recipient_id, state, last_error, finished_ms, event_id, login, type, level, title,
                               body, data, sealed, traceparent, created_ms, due_ms, expires_ms)
SELECT r.id, r.state, r.last_error, CASE r.state WHEN 'pending' THEN 0 ELSE $13::bigint END, $4, $5, $6, $7, $8, $9,
       $10, $11, $12, $13, $13, $14
  FROM unnest($1::bigint[], $2::text[], $3::text[]) AS r (id, state, last_error);

-- name: add_waiting
-- Something is due for these recipients.
-- $1 ids  $2 now_ms
UPDATE notifier.recipient
   SET waiting = waiting + 1, due_ms = least(due_ms, greatest($2, not_before_ms))
 WHERE id = ANY($1::bigint[]);

-- name: claim_recipients
-- Take the lease of recipients that have something due, the longest waiting first.
-- $1 now_ms  $2 limit  $3 lease_until_ms  $4 lease_token
WITH due AS (
    SELECT id
      FROM notifier.recipient
     WHERE due_ms <= $1 AND due_ms < 4611686018427387904 AND lease_until_ms <= $1
     ORDER BY due_ms
     LIMIT $2
       FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE notifier.recipient AS r
       SET lease_until_ms = $3, lease_token = $4
      FROM due
     WHERE r.id = due.id
    RETURNING r.*
)
SELECT t.id, t.person_id, t.channel, t.target, t.target_key, t.target_masked, t.status, t.generation,
       t.previous_until_ms, t.lease_token, t.not_before_ms, t.tat_ms, t.failures, p.said
  FROM taken AS t LEFT JOIN notifier.person AS p USING (person_id);

-- name: next_due
-- When the next recipient can be claimed; 2^62 when nothing waits.
SELECT coalesce(min(greatest(due_ms, lease_until_ms)), 4611686018427387904) AS due_ms
  FROM notifier.recipient
 WHERE due_ms < 4611686018427387904;

-- name: renew_lease
-- Keep a lease: how far the recipient's rate is used up; no row comes back when the lease was lost.
-- $1 id  $2 lease_token  $3 lease_until_ms
UPDATE notifier.recipient SET lease_until_ms = $3 WHERE id = $1 AND lease_token = $2
RETURNING tat_ms;

-- name: due_deliveries
-- What is due for a recipient, the longest due first.
-- $1 recipient_id  $2 now_ms  $3 limit
SELECT id, event_id, login, type, level, title, body, data, sealed, traceparent, attempts, batch_id, created_ms,
       due_ms, expires_ms
  FROM notifier.delivery
 WHERE recipient_id = $1 AND state = 'pending' AND due_ms <= $2
 ORDER BY due_ms, id
 LIMIT $3;

-- name: batch_mates
-- All that goes out under these batch ids.
-- $1 recipient_id  $2 batch_ids
SELECT id, event_id, login, type, level, title, body, data, sealed, traceparent, attempts, batch_id, created_ms,
       due_ms, expires_ms
  FROM notifier.delivery
 WHERE recipient_id = $1 AND state = 'pending' AND batch_id = ANY($2::text[])
 ORDER BY due_ms, id;

-- name: hold
-- These are due later.
-- $1 ids  $2 dues_ms
UPDATE notifier.delivery AS d SET due_ms = h.due_ms
  FROM unnest($1::bigint[], $2::bigint[]) AS h (id, due_ms)
 WHERE d.id = h.id AND d.state = 'pending';

-- name: lock_pace
-- How far a channel's rate is used up, held until the commit.
-- $1 channel
SELECT tat_ms FROM notifier.pace WHERE channel = $1 FOR UPDATE;

-- name: add_pace
-- A channel that was never used.
-- $1 channel
INSERT INTO notifier.pace (channel, tat_ms) VALUES ($1, 0) ON CONFLICT DO NOTHING;

-- name: set_pace
-- Use some of a channel's rate.
-- $1 channel  $2 tat_ms
UPDATE notifier.pace SET tat_ms = $2 WHERE channel = $1;

-- name: begin_attempt
-- Count an attempt before it is made, and keep which deliveries go out together.
-- $1 ids  $2 batch_id
UPDATE notifier.delivery SET attempts = attempts + 1, batch_id = $2
 WHERE id = ANY($1::bigint[]) AND state = 'pending'
RETURNING id;

-- name: set_tat
-- Use some of a recipient's rate.
-- $1 id  $2 tat_ms
UPDATE notifier.recipient SET tat_ms = $2 WHERE id = $1;

-- name: lock_recipient
-- Hold a recipient until the commit: whoever adds a delivery waits, so none is overlooked.
-- $1 id
SELECT status FROM notifier.recipient WHERE id = $1 FOR UPDATE;

-- name: end_deliveries
-- They are over: sent, failed or dead. What was sealed in a sent one is forgotten.
-- $1 ids  $2 state  $3 now_ms  $4 last_error
UPDATE notifier.delivery
   SET state = $2, finished_ms = $3, last_error = $4, sealed = CASE $2 WHEN 'sent' THEN NULL ELSE sealed END
 WHERE id = ANY($1::bigint[]) AND state = 'pending'
RETURNING id;

-- name: retry_deliveries
-- They will be tried again.
-- $1 ids  $2 due_ms  $3 last_error
UPDATE notifier.delivery SET due_ms = $2, last_error = $3
 WHERE id = ANY($1::bigint[]) AND state = 'pending';

-- name: end_waiting
-- Nothing more goes to this recipient: what waits for it has failed.
-- $1 recipient_id  $2 now_ms  $3 last_error
UPDATE notifier.delivery SET state = 'failed', finished_ms = $2, last_error = $3
 WHERE recipient_id = $1 AND state = 'pending'
RETURNING id;

-- name: settle_recipient
-- What an attempt says of its recipient: failures in a row, no call before a time, the last error.
-- $1 id  $2 ended  $3 failures  $4 not_before_ms  $5 last_error  $6 gone
UPDATE notifier.recipient
   SET waiting = greatest(waiting - $2, 0), failures = $3, not_before_ms = $4, last_error = $5,
       status = CASE WHEN $6 AND status <> 'closed' THEN 'gone' ELSE status END
 WHERE id = $1;

-- name: release
-- Give a lease back: due again when the first of what waits is, not before the back-off ends. The caller holds
-- the row (lock_recipient).
-- $1 id  $2 lease_token  $3 not_before_ms
UPDATE notifier.recipient AS r
   SET lease_until_ms = 0,
       lease_token = '',
       due_ms = coalesce((SELECT greatest(d.due_ms, r.not_before_ms, $3)
                            FROM notifier.delivery AS d
                           WHERE d.recipient_id = $1 AND d.state = 'pending'
                           ORDER BY d.due_ms
                           LIMIT 1), 4611686018427387904)
 WHERE r.id = $1 AND r.lease_token = $2;

-- ── dead letters ────────────────────────────────────────────────────────────────────────────────────

-- name: dead_deliveries
-- Failed and dead deliveries, newest first.
-- $1 limit  $2 offset
SELECT d.id, d.state, r.channel, r.target_masked, d.login, d.type, d.event_id, d.attempts, d.last_error,
       d.created_ms, d.finished_ms
  FROM notifier.delivery AS d JOIN notifier.recipient AS r ON r.id = d.recipient_id
 WHERE d.state IN ('failed', 'dead')
 ORDER BY d.id DESC
 LIMIT $1 OFFSET $2;

-- name: dead_count
-- How many there are.
SELECT count(*) AS count FROM notifier.delivery WHERE state IN ('failed', 'dead');

-- name: dead_delivery
-- One of them with what decides whether it can be sent again, held until the commit.
-- $1 id
SELECT d.id, d.recipient_id, r.status, r.person_id, d.sealed IS NOT NULL AS is_sealed,
       d.title = '' AND d.sealed IS NULL AS is_spent
  FROM notifier.delivery AS d JOIN notifier.recipient AS r ON r.id = d.recipient_id
 WHERE d.id = $1 AND d.state IN ('failed', 'dead')
   FOR UPDATE OF d;

-- name: revive
-- Send a dead letter again, alone and with the id it had.
-- $1 id  $2 now_ms  $3 expires_ms
UPDATE notifier.delivery
   SET state = 'pending', attempts = 0, batch_id = NULL, due_ms = $2, expires_ms = $3, finished_ms = 0
 WHERE id = $1;

-- name: forgive
-- Forget a recipient's back-off.
-- $1 id
UPDATE notifier.recipient SET failures = 0, not_before_ms = 0 WHERE id = $1;

-- ── tidying ─────────────────────────────────────────────────────────────────────────────────────────

-- name: forget_sealed
-- Forget the content of mails that are too old to be sent.
-- $1 now_ms
UPDATE notifier.delivery SET sealed = NULL
 WHERE id IN (SELECT id FROM notifier.delivery
               WHERE sealed IS NOT NULL AND expires_ms < $1 AND state <> 'pending' LIMIT 5000);

-- name: forget_deliveries
-- Remove what is over: sent ones sooner, dead ones later.
-- $1 sent_before_ms  $2 dead_before_ms
DELETE FROM notifier.delivery
 WHERE id IN (SELECT id FROM notifier.delivery
               WHERE state <> 'pending' AND finished_ms < $1 AND (state = 'sent' OR finished_ms < $2)
               ORDER BY finished_ms LIMIT 5000);

-- name: forget_notifications
-- Remove what was told long ago.
-- $1 before_s
DELETE FROM notifier.notification
 WHERE id IN (SELECT id FROM notifier.notification WHERE create_time < $1 ORDER BY create_time LIMIT 5000);

-- name: forget_recipients
-- Remove bindings that were taken away, and addresses of mails, when nothing tells of them any more.
-- $1 before_ms
DELETE FROM notifier.recipient
 WHERE id IN (SELECT r.id FROM notifier.recipient AS r
               WHERE (r.status = 'closed' OR r.person_id IS NULL) AND r.waiting = 0 AND r.created_ms < $1
                 AND NOT EXISTS (SELECT FROM notifier.delivery AS d WHERE d.recipient_id = r.id) LIMIT 1000);

-- name: backlog
-- How many deliveries wait, and since when the first of them is due.
SELECT coalesce(sum(waiting), 0)::bigint AS waiting,
       coalesce(min(due_ms), 4611686018427387904) AS due_ms
  FROM notifier.recipient
 WHERE due_ms < 4611686018427387904;

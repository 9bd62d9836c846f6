-- The queries of the outbox and inbox every service has; {schema} stands for the service.

-- name: append
-- Add facts to the outbox, in order.
-- $1 event_ids  $2 streams  $3 subjects  $4 payloads  $5 traceparent
INSERT INTO {schema}.outbox (event_id, stream, subject, payload, traceparent)
SELECT e.event_id, e.stream, e.subject, e.payload, $5
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) WITH ORDINALITY
    AS e (event_id, stream, subject, payload, position)
 ORDER BY e.position;

-- name: due
-- The oldest facts not published yet, after an id.
-- $1 limit  $2 id
SELECT id, event_id, stream, subject, payload, traceparent
  FROM {schema}.outbox
 WHERE published_at IS NULL AND id > $2
 ORDER BY id
 LIMIT $1;

-- name: published
-- Mark facts as published, after the stream has acknowledged them, with their place in it.
-- $1 ids  $2 stream_seqs
UPDATE {schema}.outbox AS o
   SET published_at = now(), stream_seq = p.stream_seq
  FROM unnest($1::bigint[], $2::bigint[]) AS p (id, stream_seq)
 WHERE o.id = p.id;

-- name: published_streams
-- The streams this outbox has published to within what it keeps.
SELECT DISTINCT stream FROM {schema}.outbox WHERE published_at IS NOT NULL;

-- name: published_before
-- The newest published facts of a stream before an id, newest first: to find where a lost tail begins.
-- $1 stream  $2 before_id  $3 limit
SELECT id, event_id, stream, subject, payload, traceparent, stream_seq
  FROM {schema}.outbox
 WHERE stream = $1 AND id < $2 AND published_at IS NOT NULL
 ORDER BY id DESC
 LIMIT $3;

-- name: forget_published
-- Remove what was published more than a day ago, of the oldest published; a bounded piece at a time.
-- $1 how many
DELETE FROM {schema}.outbox
 WHERE id IN (SELECT id FROM {schema}.outbox WHERE published_at IS NOT NULL ORDER BY id LIMIT $1)
   AND published_at < now() - interval '24 hours';

-- name: forget_claims
-- Remove claims older than the longest time a stream keeps a fact; a bounded piece at a time.
-- $1 how many
DELETE FROM {schema}.inbox
 WHERE (consumer, event_id) IN (SELECT consumer, event_id FROM {schema}.inbox
               WHERE claimed_at < now() - interval '8 days' ORDER BY claimed_at LIMIT $1);

-- name: age
-- Seconds the oldest unpublished fact has been waiting, and how many wait.
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS age_s, count(*) AS waiting
  FROM {schema}.outbox
 WHERE published_at IS NULL;

-- name: claim
-- Claim an event for a consumer; no row comes back when it was claimed before.
-- $1 consumer  $2 event_id
INSERT INTO {schema}.inbox (consumer, event_id) VALUES ($1, $2)
ON CONFLICT DO NOTHING
RETURNING 1 AS claimed;

-- name: lock_relay
-- One relay per outbox: the session that gets this lock publishes.
SELECT pg_try_advisory_lock(hashtext('tradewind relay {schema}')) AS locked;

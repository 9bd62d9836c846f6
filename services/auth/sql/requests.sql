-- The queries of Idempotency-Key. Columns come in the order of the values that read them (request_store.py).

-- name: insert_request
-- A key nobody used; no row comes back when somebody did.
-- $1 surface  $2 principal  $3 key  $4 fingerprint  $5 lease_ms  $6 now_ms
INSERT INTO auth.request_key (surface, principal, key, fingerprint, lease_ms, created_ms)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
RETURNING lease_ms;

-- name: request
-- What is known of a key.
-- $1 surface  $2 principal  $3 key
SELECT fingerprint, done, lease_ms, created_ms, status, content_type, headers, body
  FROM auth.request_key
 WHERE surface = $1 AND principal = $2 AND key = $3;

-- name: retake_request
-- Begin a key again whose time is over, unless somebody else just did.
-- $1 surface  $2 principal  $3 key  $4 fingerprint  $5 lease_ms  $6 now_ms  $7 lease_before_ms
UPDATE auth.request_key
   SET fingerprint = $4, done = false, lease_ms = $5, status = 0, content_type = '', headers = '{}', body = '',
       created_ms = $6
 WHERE surface = $1 AND principal = $2 AND key = $3 AND lease_ms = $7
RETURNING lease_ms;

-- name: keep_request
-- The answer of a request begun under this lease.
-- $1 surface  $2 principal  $3 key  $4 lease_ms  $5 status  $6 content_type  $7 headers  $8 body
UPDATE auth.request_key
   SET done = true, status = $5, content_type = $6, headers = $7, body = $8
 WHERE surface = $1 AND principal = $2 AND key = $3 AND lease_ms = $4 AND NOT done;

-- name: free_request
-- Nothing is kept of a request begun under this lease.
-- $1 surface  $2 principal  $3 key  $4 lease_ms
DELETE FROM auth.request_key
 WHERE surface = $1 AND principal = $2 AND key = $3 AND lease_ms = $4 AND NOT done;

-- name: forget_requests
-- Remove some of the keys whose day is over, and say how many.
-- $1 before_ms  $2 count_max
WITH old AS (
    SELECT surface, principal, key FROM auth.request_key WHERE created_ms < $1
     ORDER BY created_ms LIMIT $2 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM auth.request_key AS r USING old
     WHERE r.surface = old.surface AND r.principal = old.principal AND r.key = old.key
    RETURNING 1
)
SELECT count(*) AS count FROM gone;

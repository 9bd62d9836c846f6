-- name: insert_client
-- A client registered itself.
-- $1 client_id  $2 name  $3 redirect_uris  $4 address  $5 now_ms
INSERT INTO auth.oauth_client (client_id, name, redirect_uris, address, registered_ms)
VALUES ($1, $2, $3, $4, $5);

-- name: client
-- A registered client.
-- $1 client_id
SELECT client_id, name, redirect_uris, registered_ms FROM auth.oauth_client WHERE client_id = $1;

-- name: insert_code
-- Somebody agreed.
-- $1 hash  $2 client_id  $3 client_name  $4 redirect_uri  $5 challenge  $6 resource  $7 scopes  $8 person_id
-- $9 address  $10 now_ms  $11 expires_ms
INSERT INTO auth.oauth_code (hash, client_id, client_name, redirect_uri, challenge, resource, scopes,
                             person_id, address, created_ms, expires_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: lock_code
-- A code, held until the commit.
-- $1 hash
SELECT client_id, client_name, redirect_uri, challenge, resource, scopes, person_id, address, expires_ms, key_id
  FROM auth.oauth_code
 WHERE hash = $1
   FOR UPDATE;

-- name: use_code
-- The code became a grant.
-- $1 hash  $2 key_id
UPDATE auth.oauth_code SET key_id = $2 WHERE hash = $1;

-- name: end_grant
-- A client's grant ends; no row when it ended before or is another client's.
-- $1 key_id  $2 client_id  $3 now_ms
UPDATE auth.api_key SET revoked_ms = $3
 WHERE key_id = $1 AND client_id = $2 AND client_id <> '' AND revoked_ms = 0
RETURNING key_id;

-- name: forget_codes
-- Remove expired codes.
-- $1 before_ms
DELETE FROM auth.oauth_code WHERE expires_ms < $1;

-- name: forget_clients
-- Remove clients that nobody agreed to for long.
-- $1 before_ms
DELETE FROM auth.oauth_client AS c
 WHERE c.registered_ms < $1
   AND NOT EXISTS (SELECT 1 FROM auth.api_key AS k WHERE k.client_id = c.client_id)
   AND NOT EXISTS (SELECT 1 FROM auth.oauth_code AS o WHERE o.client_id = c.client_id);

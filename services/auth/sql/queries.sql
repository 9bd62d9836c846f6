-- The queries of auth. Columns come in the order of the values that read them (store.py).
-- ── people and accounts ──

-- name: insert_person
-- A new person; no row comes back when the e-mail is known.
-- $1 email  $2 email_key  $3 password_hash  $4 first_name  $5 last_name  $6 now_ms
INSERT INTO auth.person (email, email_key, password_hash, first_name, last_name, created_ms, updated_ms)
VALUES ($1, $2, $3, $4, $5, $6, $6)
ON CONFLICT (email_key) DO NOTHING
RETURNING person_id;

-- name: next_login
-- The next number of the sequence; it may be taken by a login that staff chose.
SELECT nextval('auth.login_number') AS login;

-- name: claim_login
-- Take a number; no row comes back when it is taken.
-- $1 login  $2 kind
INSERT INTO auth.login (login, kind) VALUES ($1, $2)
ON CONFLICT DO NOTHING
RETURNING login;

-- name: insert_account
-- A new trading account of a person.
-- $1 login  $2 person_id  $3 group_name  $4 currency  $5 leverage  $6 enable  $7 enable_read_only
-- $8 enable_change_password  $9 send_reports  $10 name  $11 phone  $12 address  $13 city  $14 state
-- $15 country  $16 zipcode  $17 comment  $18 lead_source  $19 external_id  $20 user_color  $21 opened_ms
INSERT INTO auth.account (
    login, person_id, group_name, currency, leverage, enable, enable_read_only, enable_change_password,
    send_reports, name, phone, address, city, state, country, zipcode, comment, lead_source, external_id,
    user_color, opened_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21);

-- name: account
-- One account with its person.
-- $1 login
SELECT a.login, a.person_id, a.group_name, a.currency, a.leverage, a.enable AND p.enable AS enable,
       a.enable_read_only, a.enable_change_password, a.send_reports, a.investor_hash, a.name, p.email,
       a.avatar, a.phone, a.address, a.city, a.state, a.country, a.zipcode, a.comment, a.lead_source,
       a.external_id, a.user_color, a.token_version, a.opened_ms, p.password_hash, p.tier, p.tier_until_ms
  FROM auth.account AS a JOIN auth.person AS p USING (person_id)
 WHERE a.login = $1;

-- name: person_known
-- Whether an e-mail belongs to a person.
-- $1 email_key
SELECT EXISTS (SELECT FROM auth.person WHERE email_key = $1) AS known;

-- name: set_person_password
-- Replace a person's password hash.
-- $1 person_id  $2 password_hash  $3 now_ms
UPDATE auth.person SET password_hash = $2, updated_ms = $3 WHERE person_id = $1;

-- name: rehash_person_password
-- The same password under today's parameters, unless it was changed meanwhile.
-- $1 person_id  $2 hash_before  $3 hash_now
UPDATE auth.person SET password_hash = $3 WHERE person_id = $1 AND password_hash = $2;

-- ── staff ───────────────────────────────────────────────────────────────────────────────────────────

-- name: staff
-- One member of staff.
-- $1 login
SELECT login, session_type, name, email, password_hash, enable, token_version, created_ms
  FROM auth.staff
 WHERE login = $1;

-- name: insert_staff
-- A new member of staff.
-- $1 login  $2 session_type  $3 name  $4 email  $5 password_hash  $6 now_ms
INSERT INTO auth.staff (login, session_type, name, email, password_hash, created_ms)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: rehash_staff_password
-- The same password under today's parameters, unless it was changed meanwhile.
-- $1 login  $2 hash_before  $3 hash_now
UPDATE auth.staff SET password_hash = $3 WHERE login = $1 AND password_hash = $2;

-- ── signing keys ────────────────────────────────────────────────────────────────────────────────────

-- name: lock_keys
-- One process at a time makes or rotates keys, and makes the first member of staff.
SELECT pg_advisory_xact_lock(hashtext('tradewind auth keys'));

-- name: signing_keys
-- The ring, oldest first.
SELECT kid, state, public, sealed, created_ms, retired_ms FROM auth.signing_key ORDER BY created_ms, kid;

-- name: insert_signing_key
-- A new key.
-- $1 kid  $2 state  $3 public  $4 sealed  $5 created_ms
INSERT INTO auth.signing_key (kid, state, public, sealed, created_ms) VALUES ($1, $2, $3, $4, $5);

-- name: set_key_state
-- Move a key on; retired_ms counts for retiring keys.
-- $1 kid  $2 state  $3 retired_ms
UPDATE auth.signing_key SET state = $2, retired_ms = $3 WHERE kid = $1;

-- name: delete_signing_keys
-- Forget keys whose last token has expired.
-- $1 kids
DELETE FROM auth.signing_key WHERE kid = ANY($1::text[]);

-- ── audit ───────────────────────────────────────────────────────────────────────────────────────────

-- name: lock_audit
-- Rows are chained one after the other: the lock is held until the commit.
SELECT pg_advisory_xact_lock(hashtext('tradewind auth audit'));

-- name: audit_tail
-- The newest row's id and hash.
SELECT id, hash FROM auth.audit ORDER BY id DESC LIMIT 1;

-- name: insert_audit
-- Append a row.
-- $1 id  $2 time_ms  $3 kind  $4 actor  $5 session_type  $6 method  $7 path  $8 detail  $9 status  $10 ref
-- $11 address  $12 previous_hash  $13 hash
INSERT INTO auth.audit (id, time_ms, kind, actor, session_type, method, path, detail, status, ref, address,
                        previous_hash, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: audit_page
-- Newest first; actor NULL is everybody's.
-- $1 actor  $2 limit  $3 offset
SELECT id, time_ms, kind, actor, session_type, method, path, detail, status, ref, address, previous_hash, hash
  FROM auth.audit
 WHERE $1::bigint IS NULL OR actor = $1
 ORDER BY id DESC
 LIMIT $2 OFFSET $3;

-- name: audit_count
-- How many rows there are; actor NULL is everybody's.
-- $1 actor
SELECT count(*) AS count FROM auth.audit WHERE $1::bigint IS NULL OR actor = $1;

-- name: audit_after
-- The chain in order, a piece at a time.
-- $1 after_id  $2 limit
SELECT id, time_ms, kind, actor, session_type, method, path, detail, status, ref, address, previous_hash, hash
  FROM auth.audit
 WHERE id > $1
 ORDER BY id
 LIMIT $2;

-- The queries of auth. Columns come in the order of the values that read them (store.py).
-- ── people and accounts ──

-- name: insert_person
-- A new person; no row comes back when the e-mail is known.
-- $1 email  $2 email_key  $3 password_hash  $4 first_name  $5 last_name  $6 phone  $7 brand
-- $8 preferred_language  $9 timezone  $10 marketing_allowed  $11 ref_code  $12 now_ms
INSERT INTO auth.person (email, email_key, password_hash, first_name, last_name, phone, brand,
                         preferred_language, timezone, marketing_allowed, ref_code, created_ms, updated_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
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

-- ── sessions ──

-- name: insert_session
-- A session begins.
-- $1 session_id  $2 subject  $3 kind  $4 number  $5 person_id  $6 read_only  $7 version  $8 door  $9 address
-- $10 cookie_hash  $11 created_ms  $12 expires_ms
INSERT INTO auth.session (session_id, subject, kind, number, person_id, read_only, version, door, address,
                          cookie_hash, created_ms, expires_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: insert_refresh_token
-- The next refresh token of a session, which lives at least as long as it.
-- $1 hash  $2 session_id  $3 issued_ms  $4 expires_ms  $5 access_jti  $6 access_exp_ms
WITH lived AS (
    UPDATE auth.session SET expires_ms = greatest(expires_ms, $4) WHERE session_id = $2 AND expires_ms < $4)
INSERT INTO auth.refresh_token (hash, session_id, issued_ms, expires_ms, access_jti, access_exp_ms)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: lock_refresh_token
-- A refresh token with its session, locked until the commit: of two uses at once the second one waits.
-- $1 hash
SELECT r.used_ms, r.expires_ms, s.session_id, s.subject, s.kind, s.number, s.person_id, s.read_only,
       s.version, s.ended_ms
  FROM auth.refresh_token AS r JOIN auth.session AS s USING (session_id)
 WHERE r.hash = $1
   FOR UPDATE;

-- name: use_refresh_token
-- It counts no more.
-- $1 hash  $2 now_ms
UPDATE auth.refresh_token SET used_ms = $2 WHERE hash = $1;

-- name: session_of_access
-- The session an access token was given in, and by which door it began.
-- $1 jti
SELECT s.session_id, s.door
  FROM auth.refresh_token AS r JOIN auth.session AS s USING (session_id)
 WHERE r.access_jti = $1;

-- name: end_session
-- A session is over; no row when it was over before.
-- $1 session_id  $2 now_ms  $3 reason
UPDATE auth.session SET ended_ms = $2, end_reason = $3
 WHERE session_id = $1 AND ended_ms = 0
RETURNING session_id;

-- name: end_sessions
-- Every session of these subjects is over.
-- $1 subjects  $2 now_ms  $3 reason
UPDATE auth.session SET ended_ms = $2, end_reason = $3
 WHERE subject = ANY($1::text[]) AND ended_ms = 0;

-- name: live_access
-- The access tokens given in a session that have not expired.
-- $1 session_id  $2 now_ms
SELECT access_jti FROM auth.refresh_token WHERE session_id = $1 AND access_exp_ms > $2;

-- name: insert_stream_token
-- A stream token was given.
-- $1 jti  $2 parent_jti  $3 parent_exp_s  $4 expires_ms
INSERT INTO auth.stream_token (jti, parent_jti, parent_exp_s, expires_ms) VALUES ($1, $2, $3, $4);

-- name: take_stream_token
-- Use a stream token up; no row when it was used or never given.
-- $1 jti
DELETE FROM auth.stream_token WHERE jti = $1 RETURNING parent_jti, parent_exp_s;

-- name: insert_revocation
-- Something was revoked.
-- $1 subject  $2 reason  $3 version_min  $4 jtis  $5 login  $6 person_id  $7 revoked_ms  $8 until_ms
INSERT INTO auth.revocation (subject, reason, version_min, jtis, login, person_id, revoked_ms, until_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: revocations
-- What still matters, oldest first.
-- $1 now_ms
SELECT subject, reason, revoked_ms, until_ms, version_min, jtis, login, person_id
  FROM auth.revocation
 WHERE until_ms > $1
 ORDER BY id;

-- name: token_revoked
-- Whether a token was revoked by its id.
-- $1 jti  $2 now_ms
SELECT EXISTS (SELECT FROM auth.revocation WHERE jtis @> ARRAY[$1] AND until_ms > $2) AS revoked;

-- name: bump_account
-- Every token of an account given so far stops counting.
-- $1 login
UPDATE auth.account SET token_version = token_version + 1
 WHERE login = $1
RETURNING login, person_id, token_version;

-- name: bump_accounts_of
-- Every token of a person's accounts given so far stops counting.
-- $1 person_id
UPDATE auth.account SET token_version = token_version + 1
 WHERE person_id = $1
RETURNING login, person_id, token_version;

-- name: bump_person
-- Every customer token and cookie of a person given so far stops counting.
-- $1 person_id
UPDATE auth.person SET token_version = token_version + 1 WHERE person_id = $1 RETURNING token_version;

-- name: bump_staff
-- Every token of a member of staff given so far stops counting.
-- $1 login
UPDATE auth.staff SET token_version = token_version + 1 WHERE login = $1 RETURNING token_version;

-- name: set_investor_hash
-- The read-only password of an account.
-- $1 login  $2 investor_hash
UPDATE auth.account SET investor_hash = $2 WHERE login = $1;

-- name: set_staff_password
-- Replace a member of staff's password hash.
-- $1 login  $2 password_hash
UPDATE auth.staff SET password_hash = $2 WHERE login = $1;

-- name: person
-- One person.
-- $1 person_id
SELECT person_id, email, email_key, password_hash, first_name, last_name, enable, email_verified, tier,
       tier_until_ms, token_version, phone, brand, preferred_language, timezone, marketing_allowed, ref_code,
       status, desk, manager_id, otp_sealed, otp_enabled, otp_step, last_login_ms, created_ms, updated_ms
  FROM auth.person
 WHERE person_id = $1;

-- name: person_by_email
-- One person by folded e-mail.
-- $1 email_key
SELECT person_id, email, email_key, password_hash, first_name, last_name, enable, email_verified, tier,
       tier_until_ms, token_version, phone, brand, preferred_language, timezone, marketing_allowed, ref_code,
       status, desk, manager_id, otp_sealed, otp_enabled, otp_step, last_login_ms, created_ms, updated_ms
  FROM auth.person
 WHERE email_key = $1;

-- name: lock_person
-- Hold a person until the commit: further accounts are opened one after the other.
-- $1 person_id
SELECT person_id FROM auth.person WHERE person_id = $1 FOR UPDATE;

-- name: accounts_of
-- A person's accounts, oldest first.
-- $1 person_id
SELECT a.login, a.person_id, a.group_name, a.currency, a.leverage, a.enable AND p.enable AS enable,
       a.enable_read_only, a.enable_change_password, a.send_reports, a.investor_hash, a.name, p.email,
       a.avatar, a.phone, a.address, a.city, a.state, a.country, a.zipcode, a.comment, a.lead_source,
       a.external_id, a.user_color, a.token_version, a.opened_ms, p.password_hash, p.tier, p.tier_until_ms
  FROM auth.account AS a JOIN auth.person AS p USING (person_id)
 WHERE a.person_id = $1
 ORDER BY a.opened_ms, a.login;

-- name: set_last_login
-- A person came in by a door of people.
-- $1 person_id  $2 now_ms
UPDATE auth.person SET last_login_ms = $2 WHERE person_id = $1;

-- name: set_otp
-- One-time codes are asked for from now on.
-- $1 person_id  $2 otp_sealed  $3 now_ms
UPDATE auth.person SET otp_sealed = $2, otp_enabled = true, updated_ms = $3 WHERE person_id = $1;

-- name: use_otp_step
-- Use a code up; no row when it or a later one was used before.
-- $1 person_id  $2 step
UPDATE auth.person SET otp_step = $2 WHERE person_id = $1 AND otp_step < $2 RETURNING person_id;

-- name: logins_of
-- A person's accounts, oldest first.
-- $1 person_id
SELECT login FROM auth.account WHERE person_id = $1 ORDER BY opened_ms, login;

-- name: forget_sessions
-- Remove sessions that nobody can present any more; a bounded piece at a time.
-- $1 before_ms
DELETE FROM auth.session
 WHERE session_id IN (SELECT session_id FROM auth.session WHERE expires_ms < $1 ORDER BY expires_ms LIMIT 5000);

-- name: forget_refresh_tokens
-- Remove used refresh tokens of living sessions once nobody could mistake their reuse for anything else.
-- $1 before_ms
DELETE FROM auth.refresh_token
 WHERE hash IN (SELECT hash FROM auth.refresh_token WHERE expires_ms < $1 LIMIT 5000);

-- name: forget_stream_tokens
-- Remove stream tokens that were never used.
-- $1 before_ms
DELETE FROM auth.stream_token WHERE expires_ms < $1;

-- name: forget_revocations
-- Remove revocations of tokens that have all expired.
-- $1 before_ms
DELETE FROM auth.revocation WHERE until_ms < $1;

-- ── wrong passwords ──

-- name: failures
-- Those of an address, newest first, as many as could matter.
-- $1 network  $2 name  $3 after_ms  $4 limit
SELECT at_ms, name = $2 AS same
  FROM auth.sign_in_failure
 WHERE network = $1 AND at_ms > $3
 ORDER BY at_ms DESC, id DESC
 LIMIT $4;

-- name: insert_failure
-- A wrong password was given.
-- $1 network  $2 name  $3 now_ms
INSERT INTO auth.sign_in_failure (network, name, at_ms) VALUES ($1, $2, $3);

-- name: forget_failures_of
-- The right password was given: this address knows it.
-- $1 network  $2 name
DELETE FROM auth.sign_in_failure WHERE network = $1 AND name = $2;

-- name: forget_failures
-- Remove what left the window.
-- $1 before_ms
DELETE FROM auth.sign_in_failure WHERE at_ms < $1;

-- ── administration ──

-- name: lock_account
-- Hold an account until the commit.
-- $1 login
SELECT login FROM auth.account WHERE login = $1 FOR UPDATE;

-- name: update_account
-- Replace what staff may change of an account.
-- $1 login  $2 group_name  $3 currency  $4 leverage  $5 enable  $6 enable_read_only
-- $7 enable_change_password  $8 send_reports  $9 name  $10 phone  $11 country  $12 city  $13 address
-- $14 state  $15 zipcode  $16 comment  $17 lead_source
UPDATE auth.account
   SET group_name = $2, currency = $3, leverage = $4, enable = $5, enable_read_only = $6,
       enable_change_password = $7, send_reports = $8, name = $9, phone = $10, country = $11, city = $12,
       address = $13, state = $14, zipcode = $15, comment = $16, lead_source = $17
 WHERE login = $1;

-- name: account_enabled
-- The account's own flag, whatever its person's.
-- $1 login
SELECT enable FROM auth.account WHERE login = $1;

-- name: set_tier
-- What a person has bought, and until when.
-- $1 person_id  $2 tier  $3 tier_until_ms  $4 now_ms
UPDATE auth.person SET tier = $2, tier_until_ms = $3, updated_ms = $4 WHERE person_id = $1;

-- name: set_person_enabled
-- Whether a person may come in.
-- $1 person_id  $2 enable  $3 now_ms
UPDATE auth.person SET enable = $2, updated_ms = $3 WHERE person_id = $1;

-- name: lock_staff
-- Changes of staff happen one after the other: there must always be an administrator left.
SELECT pg_advisory_xact_lock(hashtext('tradewind auth staff'));

-- name: next_staff_login
-- The lowest number above 1 that nobody has.
SELECT coalesce(min(l.login) + 1, 2) AS login
  FROM auth.login AS l
 WHERE l.login >= 1 AND NOT EXISTS (SELECT FROM auth.login AS n WHERE n.login = l.login + 1);

-- name: update_staff
-- Replace what an administrator may change of staff.
-- $1 login  $2 session_type  $3 name  $4 email  $5 enable
UPDATE auth.staff SET session_type = $2, name = $3, email = $4, enable = $5 WHERE login = $1;

-- name: admins_besides
-- How many enabled administrators there are besides one.
-- $1 login
SELECT count(*) AS count FROM auth.staff WHERE session_type = 3 AND enable AND login <> $1;

-- name: all_staff
-- Every member of staff.
SELECT login, session_type, name, email, password_hash, enable, token_version, created_ms
  FROM auth.staff
 ORDER BY login;

-- ── cookies of the scan door ──

-- name: session_of_cookie
-- A living cookie session with its person.
-- $1 cookie_hash  $2 now_ms
SELECT s.session_id, s.expires_ms, p.person_id, p.tier, p.tier_until_ms, p.token_version
  FROM auth.session AS s JOIN auth.person AS p USING (person_id)
 WHERE s.cookie_hash = $1 AND s.ended_ms = 0 AND s.expires_ms > $2 AND s.version = p.token_version AND p.enable;

-- name: end_cookie
-- The cookie's session is over; no row when it was over before or never was.
-- $1 cookie_hash  $2 now_ms  $3 reason
UPDATE auth.session SET ended_ms = $2, end_reason = $3
 WHERE cookie_hash = $1 AND ended_ms = 0
RETURNING session_id, subject, person_id;

-- ── API keys ──

-- name: insert_key
-- A new key.
-- $1 key_id  $2 hash  $3 person_id  $4 email_key  $5 name  $6 prefix  $7 scopes  $8 mode  $9 ip_allow
-- $10 created_ms  $11 expires_ms  $12 client_id  $13 resource
INSERT INTO auth.api_key (key_id, hash, person_id, email_key, name, prefix, scopes, mode, ip_allow,
                          created_ms, expires_ms, client_id, resource)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: keys_of
-- A person's keys that were not revoked, newest first.
-- $1 person_id
SELECT key_id, person_id, email_key, name, prefix, scopes, mode, ip_allow, created_ms, expires_ms,
       last_used_ms, revoked_ms, client_id, resource
  FROM auth.api_key
 WHERE person_id = $1 AND revoked_ms = 0
 ORDER BY created_ms DESC, key_id DESC;

-- name: key_by_hash
-- A key by what is kept of it.
-- $1 hash
SELECT key_id, person_id, email_key, name, prefix, scopes, mode, ip_allow, created_ms, expires_ms,
       last_used_ms, revoked_ms, client_id, resource
  FROM auth.api_key
 WHERE hash = $1;

-- name: revoke_key
-- A person takes a key back; no row when it is somebody else's or was taken back before.
-- $1 key_id  $2 person_id  $3 now_ms
UPDATE auth.api_key SET revoked_ms = $3
 WHERE key_id = $1 AND person_id = $2 AND revoked_ms = 0
RETURNING key_id;

-- name: key_used
-- A key was used; written at most once a minute.
-- $1 key_id  $2 now_ms  $3 before_ms
UPDATE auth.api_key SET last_used_ms = $2 WHERE key_id = $1 AND last_used_ms < $3;

-- ── tokens sent by mail ──

-- name: insert_mail_token
-- A token for a mail.
-- $1 hash  $2 person_id  $3 purpose  $4 now_ms  $5 expires_ms
INSERT INTO auth.mail_token (hash, person_id, purpose, created_ms, expires_ms) VALUES ($1, $2, $3, $4, $5);

-- name: mail_tokens_since
-- How many mails of a kind a person was sent lately.
-- $1 person_id  $2 purpose  $3 after_ms
SELECT count(*) AS count FROM auth.mail_token WHERE person_id = $1 AND purpose = $2 AND created_ms > $3;

-- name: take_mail_token
-- Use a token up; no row when it is unknown, used or expired.
-- $1 hash  $2 purpose  $3 now_ms
DELETE FROM auth.mail_token WHERE hash = $1 AND purpose = $2 AND expires_ms > $3 RETURNING person_id;

-- name: drop_mail_tokens
-- No other token of this kind counts any more.
-- $1 person_id  $2 purpose
DELETE FROM auth.mail_token WHERE person_id = $1 AND purpose = $2;

-- name: set_email_verified
-- The person reads mail at its address.
-- $1 person_id  $2 now_ms
UPDATE auth.person SET email_verified = true, updated_ms = $2 WHERE person_id = $1;

-- name: forget_mail_tokens
-- Remove expired ones.
-- $1 before_ms
DELETE FROM auth.mail_token WHERE expires_ms < $1;

-- ── scripts and settings ──

-- name: scripts_of
-- An account's scripts, oldest first.
-- $1 login
SELECT id, login, name, script, description, kind, language, visibility, autostart, enabled, created_ms,
       updated_ms
  FROM auth.script
 WHERE login = $1
 ORDER BY id;

-- name: script
-- One script.
-- $1 id
SELECT id, login, name, script, description, kind, language, visibility, autostart, enabled, created_ms,
       updated_ms
  FROM auth.script
 WHERE id = $1
   FOR UPDATE;

-- name: scripts_count
-- How many scripts an account has.
-- $1 login
SELECT count(*) AS count FROM auth.script WHERE login = $1;

-- name: insert_script
-- A new script.
-- $1 login  $2 name  $3 script  $4 description  $5 kind  $6 language  $7 visibility  $8 autostart
-- $9 enabled  $10 now_ms
INSERT INTO auth.script (login, name, script, description, kind, language, visibility, autostart, enabled,
                         created_ms, updated_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
RETURNING id;

-- name: update_script
-- Replace a script.
-- $1 id  $2 name  $3 script  $4 description  $5 kind  $6 language  $7 visibility  $8 autostart  $9 enabled
-- $10 now_ms
UPDATE auth.script
   SET name = $2, script = $3, description = $4, kind = $5, language = $6, visibility = $7, autostart = $8,
       enabled = $9, updated_ms = $10
 WHERE id = $1;

-- name: delete_script
-- Remove a script.
-- $1 id
DELETE FROM auth.script WHERE id = $1;

-- name: settings
-- A login's settings under a prefix; prefix NULL takes those without one, else the latest of any.
-- $1 login  $2 prefix
SELECT settings, updated_ms
  FROM auth.setting
 WHERE login = $1 AND ($2::text IS NULL OR prefix = $2)
 ORDER BY prefix <> '', updated_ms DESC
 LIMIT 1;

-- name: prefixes_count
-- How many prefixes a login has settings under, besides one.
-- $1 login  $2 prefix
SELECT count(*) AS count FROM auth.setting WHERE login = $1 AND prefix <> $2;

-- name: put_settings
-- Replace a login's settings under a prefix.
-- $1 login  $2 prefix  $3 settings  $4 now_ms
INSERT INTO auth.setting (login, prefix, settings, updated_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (login, prefix) DO UPDATE SET settings = $3, updated_ms = $4;

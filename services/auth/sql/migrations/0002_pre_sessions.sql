-- A session: what one sign-in began. Refresh tokens of one session are a family; a scan session carries a
-- cookie instead. Ended sessions stay until their last token would have expired.
CREATE TABLE auth.session (
    session_id  text PRIMARY KEY,
    subject     text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('account', 'staff', 'customer')),
    number      bigint NOT NULL,
    person_id   bigint,
    read_only   boolean NOT NULL DEFAULT false,
    version     integer NOT NULL,
    door        text NOT NULL,
    address     text NOT NULL DEFAULT '',
    cookie_hash bytea UNIQUE,
    created_ms  bigint NOT NULL,
    expires_ms  bigint NOT NULL,
    ended_ms    bigint NOT NULL DEFAULT 0,
    end_reason  text NOT NULL DEFAULT ''
);
CREATE INDEX session_subject ON auth.session (subject) WHERE ended_ms = 0;
CREATE INDEX session_expires ON auth.session (expires_ms);

-- Refresh tokens, as SHA-256 of what the client holds, each with the access token given along with it.
CREATE TABLE auth.refresh_token (
    hash          bytea PRIMARY KEY,
    session_id    text NOT NULL REFERENCES auth.session ON DELETE CASCADE,
    issued_ms     bigint NOT NULL,
    expires_ms    bigint NOT NULL,
    used_ms       bigint NOT NULL DEFAULT 0,
    access_jti    text NOT NULL,
    access_exp_ms bigint NOT NULL
);
CREATE INDEX refresh_token_session ON auth.refresh_token (session_id);
CREATE INDEX refresh_token_access ON auth.refresh_token (access_jti);

-- Stream tokens that were given and not used yet, with the access token behind each.
CREATE UNLOGGED TABLE auth.stream_token (
    jti           text PRIMARY KEY,
    parent_jti    text NOT NULL,
    parent_exp_s  bigint NOT NULL,
    expires_ms    bigint NOT NULL
);

-- What was revoked and could still be presented.
CREATE TABLE auth.revocation (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject     text NOT NULL,
    reason      text NOT NULL,
    version_min integer NOT NULL,
    jtis        text[] NOT NULL,
    login       bigint,
    person_id   bigint,
    revoked_ms  bigint NOT NULL,
    until_ms    bigint NOT NULL
);
CREATE INDEX revocation_until ON auth.revocation (until_ms);
CREATE INDEX revocation_jtis ON auth.revocation USING gin (jtis);

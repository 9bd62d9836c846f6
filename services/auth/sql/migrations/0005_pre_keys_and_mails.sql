-- API keys, as SHA-256. Keys without a person were made by e-mail alone and belong to nobody yet.
CREATE TABLE auth.api_key (
    key_id       text PRIMARY KEY,
    hash         bytea NOT NULL UNIQUE,
    person_id    bigint REFERENCES auth.person,
    email_key    text NOT NULL,
    name         text NOT NULL,
    prefix       text NOT NULL,
    scopes       text[] NOT NULL,
    mode         text NOT NULL CHECK (mode IN ('live', 'test')),
    ip_allow     text[] NOT NULL,
    created_ms   bigint NOT NULL,
    expires_ms   bigint NOT NULL DEFAULT 0,
    last_used_ms bigint NOT NULL DEFAULT 0,
    revoked_ms   bigint NOT NULL DEFAULT 0
);
CREATE INDEX api_key_person ON auth.api_key (person_id, created_ms);

-- Single-use tokens sent by mail, as SHA-256: they verify an address or reset a password.
CREATE TABLE auth.mail_token (
    hash       bytea PRIMARY KEY,
    person_id  bigint NOT NULL REFERENCES auth.person,
    purpose    text NOT NULL CHECK (purpose IN ('verify', 'reset')),
    created_ms bigint NOT NULL,
    expires_ms bigint NOT NULL
);
CREATE INDEX mail_token_person ON auth.mail_token (person_id, purpose, created_ms);
CREATE INDEX mail_token_expires ON auth.mail_token (expires_ms);

-- Requests that carried an Idempotency-Key, for a day. Logged: a crash must not let one be done again.
-- The fingerprint is a hash of what was asked; requests and answers that hold a secret never come here.
CREATE TABLE auth.request_key (
    surface      text NOT NULL,
    principal    text NOT NULL,
    key          text NOT NULL,
    fingerprint  bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    done         boolean NOT NULL DEFAULT false,
    lease_ms     bigint NOT NULL,
    status       integer NOT NULL DEFAULT 0,
    content_type text NOT NULL DEFAULT '',
    headers      jsonb NOT NULL DEFAULT '{}',
    body         bytea NOT NULL DEFAULT '' CHECK (octet_length(body) <= 65536),
    created_ms   bigint NOT NULL,
    PRIMARY KEY (surface, principal, key)
);
CREATE INDEX request_key_created ON auth.request_key (created_ms);

-- OAuth clients that registered themselves; those whose id is a URL are not kept.
CREATE TABLE auth.oauth_client (
    client_id     text PRIMARY KEY,
    name          text NOT NULL,
    redirect_uris text[] NOT NULL,
    address       text NOT NULL,
    registered_ms bigint NOT NULL
);
CREATE INDEX oauth_client_registered ON auth.oauth_client (registered_ms);

-- Codes, as SHA-256 of what the client holds. A used one stays until it expires: its second use ends the grant.
CREATE TABLE auth.oauth_code (
    hash         bytea PRIMARY KEY,
    client_id    text NOT NULL,
    client_name  text NOT NULL,
    redirect_uri text NOT NULL,
    challenge    text NOT NULL,
    resource     text NOT NULL,
    scopes       text[] NOT NULL,
    person_id    bigint REFERENCES auth.person,
    address      text NOT NULL,
    created_ms   bigint NOT NULL,
    expires_ms   bigint NOT NULL,
    key_id       text NOT NULL DEFAULT ''
);
CREATE INDEX oauth_code_client ON auth.oauth_code (client_id);
CREATE INDEX oauth_code_expires ON auth.oauth_code (expires_ms);

-- A token is an API key that a client was given; it counts for its resource only, where it has one.
ALTER TABLE auth.api_key
    ADD COLUMN client_id text NOT NULL DEFAULT '',
    ADD COLUMN resource  text NOT NULL DEFAULT '';
CREATE INDEX api_key_client ON auth.api_key (client_id) WHERE client_id <> '';

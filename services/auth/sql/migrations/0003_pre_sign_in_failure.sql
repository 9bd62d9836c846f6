-- Wrong passwords of the last quarter of an hour. Not logged: a crash forgives them.
CREATE UNLOGGED TABLE auth.sign_in_failure (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    network text NOT NULL,
    name    text NOT NULL,
    at_ms   bigint NOT NULL
);
CREATE INDEX sign_in_failure_network ON auth.sign_in_failure (network, at_ms);
CREATE INDEX sign_in_failure_at ON auth.sign_in_failure (at_ms);

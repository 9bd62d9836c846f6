-- The token graph, the last price of the anchor, pegs of stablecoins, and bars of token prices.

-- The graph that is in force, as PUT /admin/pools takes it (JSON), and where it came from. anchor_quotes are
-- the static prices of the anchor, if any were put.
CREATE TABLE pricing.graph (
    id            smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    origin        text NOT NULL,
    body          bytea NOT NULL,
    anchor_quotes jsonb,
    at_ms         bigint NOT NULL
);

-- The last price the anchor's sources agreed on: a restart goes on from it, and it ages.
CREATE TABLE pricing.anchor (
    id         smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    price      double precision NOT NULL,
    confidence double precision NOT NULL,
    sources    text[] NOT NULL,
    at_ms      bigint NOT NULL
);

CREATE TABLE pricing.peg (
    token_id text PRIMARY KEY,
    lost     boolean NOT NULL,
    since_ms bigint NOT NULL,
    level    text NOT NULL
);

CREATE TABLE pricing.token (
    id       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_id text NOT NULL UNIQUE
);

CREATE TABLE pricing.bar (
    begin_ms   bigint NOT NULL,
    open       double precision NOT NULL,
    high       double precision NOT NULL,
    low        double precision NOT NULL,
    close      double precision NOT NULL,
    ratio      double precision NOT NULL,
    confidence double precision NOT NULL,
    token      integer NOT NULL REFERENCES pricing.token (id),
    width_ms   integer NOT NULL,
    PRIMARY KEY (token, width_ms, begin_ms)
) WITH (fillfactor = 90);
CREATE INDEX bar_by_time ON pricing.bar (width_ms, begin_ms);

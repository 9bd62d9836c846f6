-- Signals: what was recorded, in one chain that is only ever added to, and what became of it.

CREATE TABLE scanner.asset (
    cmc_id     integer PRIMARY KEY,
    changed_ms bigint NOT NULL,
    body       text NOT NULL                 -- as PUT /admin/assets gave it
);

-- Names by first sight: an id is never given to another name.
CREATE TABLE scanner.signal_name (
    kind text NOT NULL,                      -- chain, tag, narrative
    id   integer NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (kind, id),
    UNIQUE (kind, name)
);

-- One row: whoever adds to the record holds it.
CREATE TABLE scanner.signal_head (
    single   boolean PRIMARY KEY CHECK (single),
    position bigint NOT NULL,
    hash     text NOT NULL
);
INSERT INTO scanner.signal_head VALUES (true, 0, repeat('0', 64));

CREATE TABLE scanner.signal (
    position    bigint PRIMARY KEY,          -- from 1, without a hole
    id          uuid NOT NULL UNIQUE,
    recorded_ms bigint NOT NULL,             -- close of the bar that triggered
    confidence  double precision NOT NULL,
    price       double precision NOT NULL,
    cmc_id      integer NOT NULL,
    timeframe   smallint NOT NULL,
    sentiment   text NOT NULL,
    symbol      text NOT NULL,               -- the coin's
    market      text NOT NULL,               -- the market's
    title       text NOT NULL,
    hash        text NOT NULL,               -- SHA-256 of the hash before, body and evidence
    chains      text[] NOT NULL,
    tags        text[] NOT NULL,
    narratives  integer[] NOT NULL,
    triggers    text[] NOT NULL,
    body        text NOT NULL,               -- the JSON clients are shown
    evidence    text NOT NULL
);
CREATE INDEX signal_newest ON scanner.signal (recorded_ms, cmc_id);

-- How far the bars of an asset were looked at, and what is remembered of them.
CREATE TABLE scanner.signal_place (
    cmc_id    integer NOT NULL,
    timeframe smallint NOT NULL,
    market    text NOT NULL,
    done_ms   bigint NOT NULL,               -- open time of the last bar
    memory    text NOT NULL,
    PRIMARY KEY (cmc_id, timeframe, market)
) WITH (fillfactor = 50);

-- What was known beside the bars when they closed: a back-fill reads it again.
CREATE TABLE scanner.signal_input (
    cmc_id   integer NOT NULL,
    close_ms bigint NOT NULL,
    pools    text,
    texts    text,
    PRIMARY KEY (cmc_id, close_ms)
);

-- Outcomes that are still to come, and those that came.
CREATE TABLE scanner.signal_waiting (
    position  bigint NOT NULL,
    horizon   smallint NOT NULL,             -- hours
    due_ms    bigint NOT NULL,
    timeframe smallint NOT NULL,
    market    text NOT NULL,
    PRIMARY KEY (position, horizon)
);
CREATE INDEX signal_waiting_due ON scanner.signal_waiting (market, timeframe, due_ms);

CREATE TABLE scanner.signal_outcome (
    position bigint NOT NULL,
    horizon  smallint NOT NULL,
    forward  double precision NOT NULL,      -- parts of 1
    mfe      double precision NOT NULL,
    mae      double precision NOT NULL,
    hit      boolean,                        -- null: the signal was neutral
    PRIMARY KEY (position, horizon)
);

-- Instruments, groups, candles, the places of quotes and feeds, watch lists.

-- What was said of an instrument explicitly; everything else is derived from it each time.
CREATE TABLE market.instrument (
    id     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol text NOT NULL UNIQUE,
    said   jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE market.account_group (
    name text PRIMARY KEY,
    said jsonb NOT NULL DEFAULT '{}'
);

-- Where candles come from: synthetic, manual, import, binance, …
CREATE TABLE market.source (
    id   smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);

-- The columns are ordered so that a row has no padding: 84 bytes with its header.
CREATE TABLE market.candle (
    open_ms       bigint NOT NULL,
    open          double precision NOT NULL,
    high          double precision NOT NULL,
    low           double precision NOT NULL,
    close         double precision NOT NULL,
    volume        double precision NOT NULL,
    instrument_id integer NOT NULL,
    timeframe     smallint NOT NULL,
    source_id     smallint NOT NULL,
    PRIMARY KEY (instrument_id, timeframe, open_ms)
) WITH (fillfactor = 95, autovacuum_vacuum_scale_factor = 0.05);

-- The last quote of a symbol, and the seq up to which numbers are spent: after an orderly stop the
-- last one used, after a crash the end of the reserved block.
CREATE TABLE market.quote (
    instrument_id integer PRIMARY KEY REFERENCES market.instrument (id),
    seq_spent     bigint NOT NULL,
    bid           double precision NOT NULL DEFAULT 0,
    ask           double precision NOT NULL DEFAULT 0,
    ctm_ms        bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- How far a feed has been read, written together with the candles made of it.
CREATE TABLE market.cursor (
    feed text PRIMARY KEY,
    at   jsonb NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE market.watched (
    login         bigint NOT NULL,
    instrument_id integer NOT NULL REFERENCES market.instrument (id),
    sort_index    integer NOT NULL DEFAULT 0,
    color         text NOT NULL DEFAULT '',
    PRIMARY KEY (login, instrument_id)
);

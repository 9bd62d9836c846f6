-- What each holder of a key last saw of a symbol and timeframe: a delta is told against it.

CREATE TABLE scanner.seen (
    holder      text NOT NULL,
    symbol      text NOT NULL,
    timeframe   text NOT NULL,
    trend       text NOT NULL,
    rsi_state   text NOT NULL,
    patterns    text[] NOT NULL,      -- names, in the order of the brief
    changed_ms  bigint NOT NULL,      -- when it last looked different
    PRIMARY KEY (holder, symbol, timeframe)
);

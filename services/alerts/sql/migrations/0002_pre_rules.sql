-- Rules: conditions over closed bars and the scanner's facts; their hits; how far bars have been judged.

CREATE TABLE alerts.rule (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login       bigint NOT NULL,
    symbol      text NOT NULL,
    timeframe   text NOT NULL,
    status      smallint NOT NULL,             -- 0 active, 1 triggered, 2 disabled, 4 expired
    body        bytea NOT NULL,                -- JSON of what the owner asked for
    state       bytea NOT NULL,                -- JSON: after the last bar judged, and before it
    bar_ms      bigint NOT NULL,               -- the last bar judged, or known when it was armed
    created_ms  bigint NOT NULL,
    updated_ms  bigint NOT NULL,
    fired_ms    bigint NOT NULL,
    fired_count bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX rule_login ON alerts.rule (login, id);

CREATE TABLE alerts.rule_place (
    symbol    text NOT NULL,
    timeframe text NOT NULL,
    bar_ms    bigint NOT NULL,                 -- the last bar judged for every rule of the place
    PRIMARY KEY (symbol, timeframe)
) WITH (fillfactor = 50);

CREATE TABLE alerts.rule_hit (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id      bigint NOT NULL REFERENCES alerts.rule (id) ON DELETE CASCADE,
    bar_open_ms  bigint NOT NULL,
    bar_close_ms bigint NOT NULL,
    price        double precision NOT NULL,
    told         text NOT NULL,                -- yes, cooldown, quiet, summary
    held_back    bigint NOT NULL
);
CREATE INDEX rule_hit_rule ON alerts.rule_hit (rule_id, id);

-- What the scanner told of bars, for rules that ask for it and for tests over the past; kept 90 days.
CREATE TABLE alerts.rule_fact (
    symbol      text NOT NULL,
    timeframe   text NOT NULL,
    bar_open_ms bigint NOT NULL,
    kind        text NOT NULL,
    name        text NOT NULL,
    direction   text NOT NULL,
    confidence  double precision NOT NULL
);
CREATE INDEX rule_fact_place ON alerts.rule_fact (symbol, timeframe, bar_open_ms);
CREATE INDEX rule_fact_age ON alerts.rule_fact (bar_open_ms);

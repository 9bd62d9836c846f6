-- Price alerts, their log, and how far the ticks of each symbol have been judged.

CREATE TABLE alerts.alert (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login           bigint NOT NULL,
    group_name      text NOT NULL,
    profile         text NOT NULL,             -- price profile that is watched; empty: the symbol is hidden
    symbol          text NOT NULL,
    indicator_name  text NOT NULL,
    message         text NOT NULL,
    side            smallint NOT NULL,
    condition       smallint NOT NULL,
    target_price    double precision NOT NULL,
    channel_low     double precision NOT NULL,
    channel_high    double precision NOT NULL,
    move_threshold  double precision NOT NULL,
    status          smallint NOT NULL,
    repeat_mode     smallint NOT NULL,
    created_ms      bigint NOT NULL,
    updated_ms      bigint NOT NULL,
    expires_at      bigint NOT NULL,           -- Unix s, 0 is never
    triggered_ms    bigint NOT NULL,
    triggered_price double precision NOT NULL,
    reference_price double precision NOT NULL,
    reference_time  bigint NOT NULL,           -- Unix s
    comment         text NOT NULL,
    armed_seq       bigint NOT NULL,           -- the last tick known when it was armed
    fired_seq       bigint NOT NULL            -- the tick it last fired on
) WITH (fillfactor = 80);
-- No index knows the status: a hit then changes no index, only its row.
CREATE INDEX alert_login ON alerts.alert (login, id);
CREATE INDEX alert_expiry ON alerts.alert (expires_at) WHERE expires_at > 0;

CREATE TABLE alerts.alert_log (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id        bigint NOT NULL,
    login           bigint NOT NULL,
    symbol          text NOT NULL,
    indicator_name  text NOT NULL,
    message         text NOT NULL,
    side            smallint NOT NULL,
    condition       smallint NOT NULL,
    target_price    double precision NOT NULL,
    triggered_price double precision NOT NULL,
    triggered_ms    bigint NOT NULL,
    comment         text NOT NULL
);
CREATE INDEX alert_log_login ON alerts.alert_log (login, id);

-- Written with the hits and changes of a symbol, and now and then: after a crash ticks are judged from here on.
CREATE TABLE alerts.seen (
    profile text NOT NULL,
    symbol  text NOT NULL,
    seq     bigint NOT NULL,
    bid     double precision NOT NULL,
    ask     double precision NOT NULL,
    tick_ms bigint NOT NULL,
    PRIMARY KEY (profile, symbol)
) WITH (fillfactor = 50);

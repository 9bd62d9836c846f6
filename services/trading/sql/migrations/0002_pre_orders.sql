-- Orders: what a position needs to go on after a restart, what an account may do, and how far ticks were judged.

ALTER TABLE trading.margin_account
    ADD COLUMN enabled    boolean  NOT NULL DEFAULT true,
    ADD COLUMN read_only  boolean  NOT NULL DEFAULT false,
    ADD COLUMN level_type smallint NOT NULL DEFAULT 0,
    ADD COLUMN rolled_day integer  NOT NULL DEFAULT 0,
    ADD COLUMN extra      jsonb    NOT NULL DEFAULT '{}';

-- Margin and conversion rate are exact ratios. What few orders have is in extra, by the field's name.
ALTER TABLE trading.trade
    ADD COLUMN margin_num numeric NOT NULL DEFAULT 0,
    ADD COLUMN margin_den numeric NOT NULL DEFAULT 1,
    ADD COLUMN rate_num   numeric NOT NULL DEFAULT 0,
    ADD COLUMN rate_den   numeric NOT NULL DEFAULT 1,
    ADD COLUMN parent     bigint  NOT NULL DEFAULT 0,
    ADD COLUMN deferred   text    NOT NULL DEFAULT '',
    ADD COLUMN extra      jsonb   NOT NULL DEFAULT '{}';
CREATE INDEX trade_open ON trading.trade (login) WHERE state = 0;

-- One process writes. Who takes over raises the epoch; a writer whose epoch is gone may not commit.
CREATE TABLE trading.lease (
    partition integer PRIMARY KEY,
    epoch     bigint NOT NULL
);
INSERT INTO trading.lease (partition, epoch) VALUES (0, 0);

-- The last tick of a symbol and price profile that was judged; with each commit that a tick led to.
CREATE TABLE trading.seen (
    profile text   NOT NULL,
    symbol  text   NOT NULL,
    seq     bigint NOT NULL,
    bid     float8 NOT NULL,
    ask     float8 NOT NULL,
    tick_ms bigint NOT NULL,
    PRIMARY KEY (profile, symbol)
);

-- What was accepted under a client's own order id: the same answer again, for a day at least.
CREATE TABLE trading.client_order (
    login           bigint NOT NULL,
    client_order_id text   NOT NULL,
    fingerprint     bytea  NOT NULL,
    answer          bytea  NOT NULL,
    accepted_ms     bigint NOT NULL,
    PRIMARY KEY (login, client_order_id)
);
CREATE INDEX client_order_accepted ON trading.client_order (accepted_ms);

-- Whether one condition of a list holds for a record. $1 the field's value  $2 operation  $3 what it is compared with
CREATE FUNCTION trading.holds(field jsonb, operation text, given jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE operation
        WHEN 'where' THEN field = given
        WHEN 'where_not' THEN field <> given
        WHEN 'where_in' THEN field IN (SELECT jsonb_array_elements(given))
        WHEN 'where_not_in' THEN field NOT IN (SELECT jsonb_array_elements(given))
        WHEN 'where_between' THEN field BETWEEN given -> 0 AND given -> 1
        WHEN 'where_not_between' THEN field NOT BETWEEN given -> 0 AND given -> 1
    END
$$;

-- A record that ended, as the list of trades shows it: what conditions are compared with. $2 digits of its money
CREATE FUNCTION trading.shown(t trading.trade, minor_digits integer) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object(
        'order', t."order", 'login', t.login, 'cmd', t.cmd, 'state', t.state, 'symbol', t.symbol,
        'reason', t.reason, 'volume', t.volume, 'open_time', t.open_ms / 1000, 'close_time', t.close_ms / 1000,
        'open_price', t.open_points / point, 'close_price', t.close_points / point,
        'sl', t.sl_points / point, 'tp', t.tp_points / point,
        'profit', t.profit_minor / unit, 'commission', t.commission_minor / unit,
        'storage', t.storage_minor / unit,
        'net_profit', (t.profit_minor + t.commission_minor + t.storage_minor) / unit,
        'comment', t.comment, 'digits', t.digits, 'expiration', t.expiration_ms / 1000)
      FROM (SELECT 10::numeric ^ t.digits AS point, 10::numeric ^ minor_digits AS unit) AS scale
$$;

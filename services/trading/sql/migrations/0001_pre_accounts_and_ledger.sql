-- Margin accounts, the ledger of their money, and trades.

CREATE TABLE trading.margin_account (
    login      bigint PRIMARY KEY CHECK (login > 0),
    person_id  bigint NOT NULL,
    group_name text NOT NULL,
    currency   text NOT NULL,
    leverage   integer NOT NULL CHECK (leverage > 0),
    opened_ms  bigint NOT NULL
);

-- Login 0 is the house. No balance is kept here: it is the sum of the postings.
CREATE TABLE trading.ledger_account (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind     text NOT NULL,
    login    bigint NOT NULL,
    currency text NOT NULL,
    UNIQUE (login, kind, currency)
);

CREATE TABLE trading.entry (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason    text NOT NULL,
    trade     bigint,
    posted_ms bigint NOT NULL
);

CREATE TABLE trading.posting (
    entry_id     bigint NOT NULL REFERENCES trading.entry,
    account_id   bigint NOT NULL REFERENCES trading.ledger_account,
    amount_minor bigint NOT NULL,
    PRIMARY KEY (entry_id, account_id)
);
CREATE INDEX posting_account ON trading.posting (account_id) INCLUDE (amount_minor);

-- The postings of an entry are written by one statement; the database refuses those that do not sum to zero.
CREATE FUNCTION trading.refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added GROUP BY entry_id HAVING sum(amount_minor) <> 0) THEN
        RAISE EXCEPTION 'an entry does not sum to zero';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER posting_balanced AFTER INSERT ON trading.posting
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION trading.refuse_unbalanced();

CREATE FUNCTION trading.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'postings are never changed: book a correction';
END $$;
CREATE TRIGGER posting_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON trading.posting
    FOR EACH STATEMENT EXECUTE FUNCTION trading.refuse_change();

-- Orders count up over the whole house. Prices are integer points (10^-digits), money is minor units.
CREATE SEQUENCE trading.order_number;

CREATE TABLE trading.trade (
    "order"           bigint PRIMARY KEY DEFAULT nextval('trading.order_number'),
    login             bigint NOT NULL REFERENCES trading.margin_account,
    symbol            text NOT NULL DEFAULT '',
    digits            smallint NOT NULL DEFAULT 0,
    cmd               smallint NOT NULL,
    state             smallint NOT NULL,
    reason            smallint NOT NULL DEFAULT 0,
    activation        smallint NOT NULL DEFAULT 0,
    volume            bigint NOT NULL DEFAULT 0,
    open_ms           bigint NOT NULL,
    close_ms          bigint NOT NULL DEFAULT 0,
    expiration_ms     bigint NOT NULL DEFAULT 0,
    open_points       bigint NOT NULL DEFAULT 0,
    close_points      bigint NOT NULL DEFAULT 0,
    sl_points         bigint NOT NULL DEFAULT 0,
    tp_points         bigint NOT NULL DEFAULT 0,
    margin_minor      bigint NOT NULL DEFAULT 0,
    profit_minor      bigint NOT NULL DEFAULT 0,
    commission_minor  bigint NOT NULL DEFAULT 0,
    storage_minor     bigint NOT NULL DEFAULT 0,
    comment           text NOT NULL DEFAULT ''
);
CREATE INDEX trade_login ON trading.trade (login, "order");

-- The ledger of the house's own money, wallets, metered calls, quotas, keys and starter credit.

CREATE TABLE billing.account (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind     text NOT NULL,
    ref      text NOT NULL,
    currency text NOT NULL,
    UNIQUE (kind, ref, currency)
);

-- An entry happens once: (reason, ref) says what of. "plans" is the version of the prices in force.
CREATE TABLE billing.entry (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason    text NOT NULL,
    ref       text NOT NULL,
    posted_ms bigint NOT NULL,
    plans     text NOT NULL,
    note      text NOT NULL DEFAULT '',
    UNIQUE (reason, ref)
);

CREATE TABLE billing.posting (
    entry_id      bigint NOT NULL REFERENCES billing.entry,
    account_id    bigint NOT NULL REFERENCES billing.account,
    amount_micros bigint NOT NULL,
    PRIMARY KEY (entry_id, account_id)
);
CREATE INDEX posting_account ON billing.posting (account_id) INCLUDE (amount_micros);

-- The postings of an entry are written by one statement; the database refuses those that do not sum to zero.
CREATE FUNCTION billing.refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added GROUP BY entry_id HAVING sum(amount_micros) <> 0) THEN
        RAISE EXCEPTION 'an entry does not sum to zero';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER posting_balanced AFTER INSERT ON billing.posting
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_unbalanced();

CREATE FUNCTION billing.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'postings are never changed: book a correction';
END $$;
CREATE TRIGGER posting_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.posting
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

-- A wallet's balance is kept beside its postings, so that a hold reads one row; doctor compares the two.
CREATE TABLE billing.wallet (
    name           text PRIMARY KEY,
    account_id     bigint NOT NULL UNIQUE REFERENCES billing.account,
    balance_micros bigint NOT NULL DEFAULT 0 CHECK (balance_micros >= 0),
    held_micros    bigint NOT NULL DEFAULT 0 CHECK (held_micros >= 0),
    CHECK (held_micros <= balance_micros)
) WITH (fillfactor = 50);

-- state: 0 held, 1 charged, 2 released, 3 expired.
CREATE TABLE billing.call (
    request_id     text PRIMARY KEY,
    wallet         text NOT NULL,
    operation      text NOT NULL,
    state          smallint NOT NULL,
    held_micros    bigint NOT NULL,
    charged_micros bigint NOT NULL DEFAULT 0 CHECK (charged_micros >= 0),
    quota          text NOT NULL DEFAULT '',
    subject        text NOT NULL DEFAULT '',
    day            integer NOT NULL,
    held_ms        bigint NOT NULL,
    ended_ms       bigint NOT NULL DEFAULT 0,
    entry_id       bigint REFERENCES billing.entry
);
CREATE INDEX call_held ON billing.call (held_ms) WHERE state = 0;
CREATE INDEX call_entry ON billing.call (entry_id) WHERE entry_id IS NOT NULL;

-- Calls of a wallet by day (UTC, days since 1970) and operation.
CREATE TABLE billing.usage_day (
    wallet         text NOT NULL,
    day            integer NOT NULL,
    operation      text NOT NULL,
    calls          bigint NOT NULL,
    charged_micros bigint NOT NULL,
    PRIMARY KEY (wallet, day, operation)
);

CREATE TABLE billing.quota (
    subject text NOT NULL,
    quota   text NOT NULL,
    day     integer NOT NULL,
    taken   integer NOT NULL CHECK (taken >= 0),
    PRIMARY KEY (subject, quota, day)
) WITH (fillfactor = 70);

-- Keys auth has made: whose wallet each draws on.
CREATE TABLE billing.key (
    key_id    text PRIMARY KEY,
    wallet    text NOT NULL,
    person_id bigint,
    mode      text NOT NULL,
    granted_micros bigint NOT NULL,
    issued_ms bigint NOT NULL
);

-- Who had the starter credit, and how many an address was given on a day.
CREATE TABLE billing.starter (
    email_key text PRIMARY KEY,
    wallet    text NOT NULL,
    micros    bigint NOT NULL,
    given_ms  bigint NOT NULL
);
CREATE TABLE billing.starter_address (
    address text NOT NULL,
    day     integer NOT NULL,
    given   integer NOT NULL,
    PRIMARY KEY (address, day)
);

-- Every version of prices and plans that was ever in force.
CREATE TABLE billing.plans (
    version  text PRIMARY KEY,
    body     text NOT NULL,
    since_ms bigint NOT NULL
);

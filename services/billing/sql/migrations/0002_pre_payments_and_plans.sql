-- Payments of every provider, plans that were bought, invoices, affiliates.

-- (provider, ref) names a payment for good: an x402 authorization (network, payer, nonce), a Stripe session,
-- an order of ours at NOWPayments. "rank" only grows: see payment.py.
CREATE TABLE billing.payment (
    id            text PRIMARY KEY,
    provider      text NOT NULL,
    ref           text NOT NULL,
    purpose       text NOT NULL,
    status        text NOT NULL,
    rank          smallint NOT NULL,
    wallet        text NOT NULL DEFAULT '',
    person_id     bigint,
    plan          text NOT NULL DEFAULT '',
    period        text NOT NULL DEFAULT '',
    request_id    text NOT NULL DEFAULT '',
    amount_micros bigint NOT NULL CHECK (amount_micros > 0),
    paid_micros   bigint NOT NULL DEFAULT 0,
    external      text NOT NULL DEFAULT '',
    transaction   text,
    payer         text NOT NULL DEFAULT '',
    detail        text NOT NULL DEFAULT '',
    note          text NOT NULL DEFAULT '',
    created_ms    bigint NOT NULL,
    settled_ms    bigint NOT NULL DEFAULT 0,
    tried_ms      bigint NOT NULL DEFAULT 0,
    UNIQUE (provider, ref),
    UNIQUE (provider, transaction)
);
CREATE INDEX payment_external ON billing.payment (provider, external) WHERE external <> '';
CREATE INDEX payment_request ON billing.payment (request_id) WHERE request_id <> '';
CREATE INDEX payment_open ON billing.payment (status, tried_ms) WHERE status IN ('pending', 'unknown', 'held');
CREATE INDEX payment_person ON billing.payment (person_id, created_ms) WHERE person_id IS NOT NULL;

-- Callbacks that were taken: each event of a provider has its effect once.
CREATE TABLE billing.callback (
    provider    text NOT NULL,
    event_id    text NOT NULL,
    outcome     text NOT NULL,
    received_ms bigint NOT NULL,
    body        text NOT NULL,
    PRIMARY KEY (provider, event_id)
);

-- Plans as they were bought, each a span of time; told_ms: auth knows of it.
CREATE TABLE billing.subscription (
    id           text PRIMARY KEY,
    person_id    bigint NOT NULL,
    payment_id   text NOT NULL UNIQUE REFERENCES billing.payment,
    plan         text NOT NULL,
    period       text NOT NULL,
    price_micros bigint NOT NULL,
    starts_ms    bigint NOT NULL,
    ends_ms      bigint NOT NULL CHECK (ends_ms >= starts_ms),
    ended_reason text NOT NULL DEFAULT ''
);
CREATE INDEX subscription_person ON billing.subscription (person_id, ends_ms);

-- The tier auth must be told of; a row goes when auth has answered.
CREATE TABLE billing.tier_due (
    person_id bigint PRIMARY KEY,
    due_ms    bigint NOT NULL
);

CREATE TABLE billing.invoice (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id   text NOT NULL UNIQUE REFERENCES billing.payment,
    person_id    bigint,
    wallet       text NOT NULL,
    lines        text NOT NULL,
    total_micros bigint NOT NULL,
    status       text NOT NULL,
    issued_ms    bigint NOT NULL
);
CREATE INDEX invoice_person ON billing.invoice (person_id, number) WHERE person_id IS NOT NULL;

CREATE TABLE billing.affiliate_code (
    code       text PRIMARY KEY,
    person_id  bigint NOT NULL,
    created_ms bigint NOT NULL
);
CREATE INDEX affiliate_code_person ON billing.affiliate_code (person_id);

-- Who came by whose code; the first that counts stays.
CREATE TABLE billing.referral (
    person_id   bigint PRIMARY KEY,
    code        text NOT NULL REFERENCES billing.affiliate_code,
    referrer_id bigint NOT NULL,
    masked      text NOT NULL,
    joined_ms   bigint NOT NULL,
    CHECK (referrer_id <> person_id)
);
CREATE INDEX referral_referrer ON billing.referral (referrer_id);

CREATE TABLE billing.commission (
    id            text PRIMARY KEY,
    referrer_id   bigint NOT NULL,
    referred_id   bigint NOT NULL,
    payment_id    text NOT NULL UNIQUE REFERENCES billing.payment,
    plan          text NOT NULL,
    amount_micros bigint NOT NULL,
    status        text NOT NULL,
    created_ms    bigint NOT NULL,
    approves_ms   bigint NOT NULL,
    paid_ms       bigint NOT NULL DEFAULT 0
);
CREATE INDEX commission_referrer ON billing.commission (referrer_id, created_ms);
CREATE INDEX commission_pending ON billing.commission (approves_ms) WHERE status = 'pending';

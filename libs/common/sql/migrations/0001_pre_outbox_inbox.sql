-- Facts to publish, written in the transaction of the change they tell of. The relay publishes them
-- in id order and marks them; published rows stay a day, so that a lost tail can be sent again.
CREATE TABLE {schema}.outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id     text NOT NULL,
    stream       text NOT NULL,
    subject      text NOT NULL,
    payload      bytea NOT NULL,
    traceparent  text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    stream_seq   bigint
);
CREATE INDEX outbox_due ON {schema}.outbox (id) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON {schema}.outbox (published_at) WHERE published_at IS NOT NULL;
CREATE INDEX outbox_stream ON {schema}.outbox (stream, id) WHERE published_at IS NOT NULL;

-- Facts whose effect has been committed here, so that a repeated delivery changes nothing.
CREATE TABLE {schema}.inbox (
    consumer   text NOT NULL,
    event_id   text NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_claimed ON {schema}.inbox (claimed_at);

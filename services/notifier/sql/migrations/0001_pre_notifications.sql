-- Who is told, and how they want it: only what was said is kept.
CREATE TABLE notifier.person (
    person_id  bigint PRIMARY KEY,
    said       jsonb NOT NULL DEFAULT '{}',
    updated_ms bigint NOT NULL
);

-- Whose account a login is, as the facts of auth say.
CREATE TABLE notifier.account (
    login     bigint PRIMARY KEY,
    person_id bigint NOT NULL REFERENCES notifier.person
);
CREATE INDEX account_person ON notifier.account (person_id);

-- An address of a channel. A binding of a person, or (person_id NULL) where another service has mail sent.
-- It is also the lane of what is sent there: one process at a time holds its lease.
CREATE TABLE notifier.recipient (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id         bigint REFERENCES notifier.person,
    channel           text NOT NULL,
    target            bytea NOT NULL,
    target_key        text NOT NULL,
    target_masked     text NOT NULL,
    status            text NOT NULL CHECK (status IN ('pending', 'verified', 'gone', 'closed')),
    generation        integer NOT NULL DEFAULT 1,
    previous_until_ms bigint NOT NULL DEFAULT 0,
    code_hash         text NOT NULL DEFAULT '',
    code_until_ms     bigint NOT NULL DEFAULT 0,
    code_tries        integer NOT NULL DEFAULT 0,
    created_ms        bigint NOT NULL,
    waiting           integer NOT NULL DEFAULT 0,
    due_ms            bigint NOT NULL DEFAULT 4611686018427387904,
    not_before_ms     bigint NOT NULL DEFAULT 0,
    lease_until_ms    bigint NOT NULL DEFAULT 0,
    lease_token       text NOT NULL DEFAULT '',
    tat_ms            double precision NOT NULL DEFAULT 0,
    failures          integer NOT NULL DEFAULT 0,
    last_error        text NOT NULL DEFAULT ''
);
COMMENT ON COLUMN notifier.recipient.target IS 'sealed under the notifier''s key';
COMMENT ON COLUMN notifier.recipient.due_ms IS 'when something is due here; 2^62 when nothing waits';
CREATE UNIQUE INDEX recipient_of_person ON notifier.recipient (person_id, channel)
    WHERE person_id IS NOT NULL AND status <> 'closed';
CREATE UNIQUE INDEX recipient_of_mail ON notifier.recipient (channel, target_key) WHERE person_id IS NULL;
CREATE INDEX recipient_by_person ON notifier.recipient (person_id, created_ms) WHERE person_id IS NOT NULL;
CREATE INDEX recipient_due ON notifier.recipient (due_ms) WHERE due_ms < 4611686018427387904;
CREATE INDEX recipient_pending ON notifier.recipient (channel, code_hash) WHERE status = 'pending';

-- What accounts were told (broker 7.3). Status: 0 waiting, 1 sent, 2 read.
CREATE TABLE notifier.notification (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login       bigint NOT NULL,
    event_id    text NOT NULL,
    token       text NOT NULL,
    message     text NOT NULL,
    description text NOT NULL,
    data        jsonb NOT NULL,
    level       integer NOT NULL,
    type        integer NOT NULL,
    status      smallint NOT NULL DEFAULT 1,
    create_time bigint NOT NULL,
    open_time   bigint NOT NULL DEFAULT 0
);
CREATE INDEX notification_login ON notifier.notification (login, id DESC);
CREATE INDEX notification_age ON notifier.notification (create_time);

-- One message on its way to one recipient. event_id is what a receiver drops repeats by; batch_id is that of
-- the summary it went out in.
CREATE TABLE notifier.delivery (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recipient_id bigint NOT NULL REFERENCES notifier.recipient,
    event_id     text NOT NULL,
    login        bigint NOT NULL DEFAULT 0,
    type         text NOT NULL,
    level        integer NOT NULL,
    title        text NOT NULL,
    body         text NOT NULL,
    data         jsonb NOT NULL DEFAULT '{}',
    sealed       bytea,
    traceparent  text NOT NULL DEFAULT '',
    state        text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed', 'dead')),
    attempts     integer NOT NULL DEFAULT 0,
    batch_id     text,
    created_ms   bigint NOT NULL,
    due_ms       bigint NOT NULL,
    expires_ms   bigint NOT NULL,
    finished_ms  bigint NOT NULL DEFAULT 0,
    last_error   text NOT NULL DEFAULT ''
);
COMMENT ON COLUMN notifier.delivery.sealed IS 'title and body of a mail with secrets, until it is sent';
CREATE INDEX delivery_pending ON notifier.delivery (recipient_id, due_ms, id) WHERE state = 'pending';
CREATE INDEX delivery_dead ON notifier.delivery (id) WHERE state IN ('failed', 'dead');
CREATE INDEX delivery_finished ON notifier.delivery (finished_ms) WHERE state <> 'pending';
CREATE INDEX delivery_sealed ON notifier.delivery (expires_ms) WHERE sealed IS NOT NULL;
CREATE INDEX delivery_recipient ON notifier.delivery (recipient_id);

-- How far each channel's rate is used up, over all processes.
CREATE TABLE notifier.pace (
    channel text PRIMARY KEY,
    tat_ms  double precision NOT NULL
);

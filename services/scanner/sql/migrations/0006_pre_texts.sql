-- Texts that feeds and callers brought, and which signals were told to others as they were recorded.

CREATE TABLE scanner.text (
    id           text PRIMARY KEY,           -- of where it came from and its own id there
    published_ms bigint NOT NULL,            -- never later than it came
    title        text NOT NULL,
    source       text NOT NULL,
    url          text NOT NULL,
    assets       text[] NOT NULL             -- symbols its source says it is about
);
CREATE INDEX text_published ON scanner.text (published_ms);

ALTER TABLE scanner.signal ADD COLUMN told boolean NOT NULL DEFAULT true;   -- false: a back-fill made it

-- What filters look at is read at every start: the long columns lie apart from it.
ALTER TABLE scanner.signal SET (toast_tuple_target = 256);

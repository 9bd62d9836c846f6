-- Where the judged bars of a place begin: the past behind it can be judged later, once.

ALTER TABLE scanner.place
    ADD COLUMN first_ms bigint NOT NULL DEFAULT 0;   -- open time of the oldest judged bar; 0: not known

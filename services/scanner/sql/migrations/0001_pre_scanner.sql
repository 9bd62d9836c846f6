-- How far bars were judged, what was detected and what became of it; watchlists, monitors and their feed.

-- Written with everything the bars up to done_ms told, in one transaction: a bar is judged once.
CREATE TABLE scanner.place (
    symbol    text NOT NULL,
    timeframe smallint NOT NULL,
    done_ms   bigint NOT NULL,               -- open time of the last judged bar
    trend     text NOT NULL,                 -- up, down, range; empty below 20 bars
    PRIMARY KEY (symbol, timeframe)
) WITH (fillfactor = 50);

-- Detections, each with its record: entry is null for neutral ones. Baselines are no patterns: records
-- opened at every 7th bar whatever it looks like.
CREATE TABLE scanner.detection (
    id          uuid PRIMARY KEY,
    start_ms    bigint NOT NULL,             -- open times of the formation's first and last bar,
    end_ms      bigint NOT NULL,
    known_ms    bigint NOT NULL,             -- of the bar that made it known,
    detected_ms bigint NOT NULL,             -- and when that bar closed
    stored_ms   bigint NOT NULL,             -- when it was written; old ones go by it
    exit_ms     bigint,
    confidence  double precision NOT NULL,
    price       double precision NOT NULL,
    atr         double precision NOT NULL,
    entry       double precision,
    stop        double precision,
    target1     double precision,
    target2     double precision,
    exit_price  double precision,
    return_pct  double precision,
    mfe_pct     double precision,
    mae_pct     double precision,
    span        smallint NOT NULL,
    bars        smallint,
    timeframe   smallint NOT NULL,
    outcome     smallint,                    -- 0 open, 1 win, 2 loss, 3 expired; null without a record
    direction   smallint NOT NULL,           -- 1 bullish, -1 bearish, 0 neutral
    is_baseline boolean NOT NULL,
    symbol      text NOT NULL,
    pattern     text NOT NULL
) WITH (fillfactor = 90);
-- One formation is told once.
CREATE UNIQUE INDEX detection_formation ON scanner.detection (symbol, timeframe, pattern, end_ms);
CREATE INDEX detection_open ON scanner.detection (symbol, timeframe) WHERE outcome = 0;
CREATE INDEX detection_newest ON scanner.detection (detected_ms, id) WHERE NOT is_baseline;
CREATE INDEX detection_symbol ON scanner.detection (symbol, detected_ms, id) WHERE NOT is_baseline;
CREATE INDEX detection_pattern ON scanner.detection (pattern, timeframe);

CREATE TABLE scanner.watchlist (
    id         uuid PRIMARY KEY,
    person_id  bigint NOT NULL,
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL,
    is_default boolean NOT NULL,
    name       text NOT NULL,
    symbols    text[] NOT NULL
);
CREATE UNIQUE INDEX watchlist_name ON scanner.watchlist (person_id, lower(name));
CREATE UNIQUE INDEX watchlist_default ON scanner.watchlist (person_id) WHERE is_default;

CREATE TABLE scanner.monitor (
    id         uuid PRIMARY KEY,
    person_id  bigint NOT NULL,
    created_ms bigint NOT NULL,
    is_active  boolean NOT NULL,
    name       text NOT NULL,
    symbols    text[] NOT NULL,              -- empty: all
    patterns   text[] NOT NULL,
    timeframes text[] NOT NULL
);
CREATE INDEX monitor_person ON scanner.monitor (person_id, created_ms);

CREATE TABLE scanner.feed_event (
    position     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           uuid NOT NULL UNIQUE,
    person_id    bigint NOT NULL,
    created_ms   bigint NOT NULL,
    monitor_id   uuid NOT NULL,
    detection_id uuid NOT NULL,
    is_read      boolean NOT NULL,
    kind         text NOT NULL,              -- context_ready, record_closed
    symbol       text NOT NULL,
    timeframe    text NOT NULL,
    pattern      text NOT NULL,
    UNIQUE (monitor_id, detection_id, kind)
);
CREATE INDEX feed_event_person ON scanner.feed_event (person_id, position);

CREATE TABLE scanner.confirmation (
    person_id    bigint NOT NULL,
    detection_id uuid NOT NULL,
    confirmed_ms bigint NOT NULL,
    method       text NOT NULL,
    observations text NOT NULL,
    PRIMARY KEY (person_id, detection_id)
);

CREATE TABLE scanner.person (
    person_id bigint PRIMARY KEY,
    timezone  text NOT NULL
);

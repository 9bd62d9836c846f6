-- Simulated fills, journal notes, the kill switch of the house.

CREATE TABLE trading.fill (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "order"       bigint  NOT NULL,
    login         bigint  NOT NULL,
    deal          text    NOT NULL,
    at_ms         bigint  NOT NULL,
    profile       text    NOT NULL,
    latency_ms    integer NOT NULL,
    quoted_points bigint  NOT NULL,
    points        bigint  NOT NULL,
    asked_volume  bigint  NOT NULL,
    volume        bigint  NOT NULL,
    rejected      boolean NOT NULL
);
CREATE INDEX fill_order ON trading.fill (login, "order");

CREATE TABLE trading.note (
    login      bigint NOT NULL,
    "order"    bigint NOT NULL,
    note       text   NOT NULL,
    updated_ms bigint NOT NULL,
    PRIMARY KEY (login, "order")
);

CREATE TABLE trading.house (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    halted boolean NOT NULL
);
INSERT INTO trading.house (halted) VALUES (false);

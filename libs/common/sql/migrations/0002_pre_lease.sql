-- Who may write a partition. The epoch grows with each new owner; every transaction of an owner checks its own.
CREATE TABLE {schema}.partition_lease (
    partition integer PRIMARY KEY,
    epoch     bigint NOT NULL,
    until     timestamptz NOT NULL
);

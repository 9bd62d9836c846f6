-- The processes that share the partitions of a service, and into how many it was parted when a lease was taken.
CREATE TABLE {schema}.partition_member (
    member     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partitions integer NOT NULL,
    until      timestamptz NOT NULL
);
ALTER TABLE {schema}.partition_lease ADD COLUMN partitions integer NOT NULL DEFAULT 1;

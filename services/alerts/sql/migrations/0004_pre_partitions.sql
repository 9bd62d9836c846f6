-- Which partition a symbol belongs to: the same as partition_of in libs/common/lease.py.
CREATE FUNCTION alerts.partition_of(key text, partitions integer) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (('x' || left(md5(key), 8))::bit(32)::bigint % partitions)::integer;

-- A fact that came after the next bar of its place was judged counts nowhere: not live, so not in tests either.
ALTER TABLE alerts.rule_fact ADD COLUMN late boolean NOT NULL DEFAULT false;

-- The queries of partitions; {schema} stands for the service.

-- name: join
-- A new member, alive for some seconds; its number.
-- $1 partitions  $2 seconds
INSERT INTO {schema}.partition_member (partitions, until)
VALUES ($1, clock_timestamp() + make_interval(secs => $2::float8))
RETURNING member;

-- name: beat
-- A member is still alive.
-- $1 member  $2 seconds
UPDATE {schema}.partition_member SET until = clock_timestamp() + make_interval(secs => $2::float8) WHERE member = $1;

-- name: leave
-- A member is gone, and those that have not been heard of for long.
-- $1 member
DELETE FROM {schema}.partition_member WHERE member = $1 OR until < clock_timestamp() - interval '1 minute';

-- name: members
-- The members that are alive, in the order they came, and into how many partitions each one parts.
SELECT member, partitions FROM {schema}.partition_member WHERE until >= clock_timestamp() ORDER BY member;

-- name: fence
-- End the leases that were taken when there were other partitions.
-- $1 partitions
UPDATE {schema}.partition_lease
   SET epoch = epoch + 1, until = clock_timestamp(), partitions = $1
 WHERE partitions <> $1;

-- name: leases
-- Of each partition: whether its lease is good, and whether the session of its owner is there.
-- $1 partitions
SELECT p.partition, coalesce(l.until >= clock_timestamp(), false) AS kept,
       EXISTS (SELECT FROM pg_locks AS k
                WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2 AND k.objid = p.partition::oid
                  AND k.classid = hashtext('tradewind lease {schema}')::bit(32)::bigint::oid
                  AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS lives
  FROM generate_series(0, $1::int - 1) AS p (partition)
  LEFT JOIN {schema}.partition_lease AS l ON l.partition = p.partition
 ORDER BY p.partition;

-- The queries of leases; {schema} stands for the service.

-- name: lock_life
-- Whether the owner of the lock has gone: its session ended with its process.
-- $1 partition
SELECT pg_try_advisory_lock(hashtext('tradewind lease {schema}'), $1::int) AS locked;

-- name: is_kept
-- Whether an owner has renewed the lease; asked first, since taking waits for the owner's transactions.
-- $1 partition
SELECT until >= clock_timestamp() FROM {schema}.partition_lease WHERE partition = $1;

-- name: take
-- Take a lease nobody holds, that is over, or whose owner has gone; its new epoch, or nothing.
-- $1 partition  $2 seconds it lasts  $3 whether the owner has gone  $4 how many partitions there are
INSERT INTO {schema}.partition_lease AS l (partition, epoch, until, partitions)
VALUES ($1, 1, clock_timestamp() + make_interval(secs => $2::float8), $4)
ON CONFLICT (partition) DO UPDATE
   SET epoch = l.epoch + 1, until = excluded.until, partitions = excluded.partitions
 WHERE l.until < clock_timestamp() OR $3::bool
RETURNING epoch;

-- name: renew
-- Keep a lease for longer; nothing comes back when another owner has it.
-- $1 partition  $2 seconds  $3 epoch
UPDATE {schema}.partition_lease SET until = clock_timestamp() + make_interval(secs => $2::float8)
 WHERE partition = $1 AND epoch = $3
RETURNING 1 AS kept;

-- name: give_up
-- End a lease now, so that the next owner need not wait.
-- $1 partition  $2 epoch
UPDATE {schema}.partition_lease SET until = clock_timestamp() WHERE partition = $1 AND epoch = $2;

-- name: hold
-- Fails unless an epoch is the one that may write; else it stays so until this transaction ends.
-- $1 partition  $2 epoch
SELECT {schema}.hold_lease($1::integer, $2::bigint);

-- name: end_paused
-- End the sessions of an owner that has lost its lease and sleeps on what the next one needs: its transactions,
-- the lock of its life, and the lock of the relay where nothing has moved since. An owner that has gone took
-- its relay along: the one that is there is of a living process, maybe this one.
-- $1 partition  $2 whether the owner has gone
SELECT pg_terminate_backend(l.pid)
  FROM pg_locks AS l
  JOIN pg_stat_activity AS a ON a.pid = l.pid
 WHERE l.granted AND l.pid <> pg_backend_pid() AND l.locktype = 'advisory'
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND ((l.objsubid = 2 AND l.objid = $1::int::oid
         AND l.classid IN (hashtext('tradewind lease {schema}')::bit(32)::bigint::oid,
                           hashtext('tradewind writer {schema}')::bit(32)::bigint::oid))
        OR (NOT $2::bool AND l.objsubid = 1 AND a.state_change < clock_timestamp() - interval '1.5 seconds'
            AND (l.classid::bigint << 32 | l.objid::bigint) = hashtext('tradewind relay {schema}')::bigint));

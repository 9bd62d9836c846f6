-- The epoch is part of a key: an owner that renews its lease then does not wait for its own transactions, which
-- hold the key, while one that takes over waits for them.
CREATE UNIQUE INDEX partition_lease_epoch ON {schema}.partition_lease (partition, epoch);

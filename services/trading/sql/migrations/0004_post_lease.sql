-- Who writes is said by trading.partition_lease, as in every service that has a stand-in.
DROP TABLE trading.lease;

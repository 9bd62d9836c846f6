-- Lets the rest of its statement or transaction be done only while an epoch is the one that may write a partition;
-- it stays so until the transaction ends. The shared lock stands in nobody's way: it says whose transaction this
-- is, should its owner sleep in it.
CREATE FUNCTION {schema}.hold_lease(held integer, ours bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('tradewind writer {schema}'), held)
       FROM {schema}.partition_lease WHERE partition = held AND epoch = ours FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'epoch % of partition % is over', ours, held USING ERRCODE = 'TWL01';
    END IF;
END $$;

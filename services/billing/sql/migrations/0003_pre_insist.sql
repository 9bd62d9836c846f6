-- A write on what a process remembers holds only where the rows still are as it remembers them.

CREATE FUNCTION billing.insist(holds boolean) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT holds THEN
        RAISE EXCEPTION 'a row is not as it was remembered' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN true;
END $$;

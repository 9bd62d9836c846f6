-- Whose money a plan's time was bought with: all of it (null: its price), and where the rest of it went at an upgrade.

ALTER TABLE billing.subscription ADD COLUMN value_micros bigint;
ALTER TABLE billing.subscription ADD COLUMN carried_into text NOT NULL DEFAULT '';
ALTER TABLE billing.subscription ADD COLUMN carried_micros bigint NOT NULL DEFAULT 0;

-- Keys that belong to nobody look for their invoices, too.
CREATE INDEX invoice_wallet ON billing.invoice (wallet, number) WHERE wallet <> '';

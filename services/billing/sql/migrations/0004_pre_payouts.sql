-- Which payout a commission went out with, and callbacks that only staff can make sense of.

ALTER TABLE billing.commission ADD COLUMN payout text NOT NULL DEFAULT '';
CREATE INDEX commission_payout ON billing.commission (payout) WHERE payout <> '';
CREATE INDEX callback_stray ON billing.callback (received_ms) WHERE outcome = 'stray';

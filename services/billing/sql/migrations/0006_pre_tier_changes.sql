-- Which change auth is told of: one that comes while it is told is another one, also at the same moment.

ALTER TABLE billing.tier_due ADD COLUMN change bigint NOT NULL DEFAULT 0;

-- Where a monitor's events are told beside the feed: names of channels of the notifier.

ALTER TABLE scanner.monitor ADD COLUMN channels text[] NOT NULL DEFAULT '{}';

-- The highest and lowest bid judged in the minute of the last tick: what its candle has beyond them was missed.
-- Infinite the other way round where it is not known: nothing lies beyond.
ALTER TABLE alerts.seen
    ADD COLUMN high double precision NOT NULL DEFAULT 'Infinity',
    ADD COLUMN low  double precision NOT NULL DEFAULT '-Infinity';

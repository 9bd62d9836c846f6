-- The highest and lowest bid judged in the minute of the last tick: what its candle has beyond them was missed.
-- Infinite the other way round where it is not known: nothing lies beyond.
ALTER TABLE trading.seen
    ADD COLUMN high float8 NOT NULL DEFAULT 'Infinity',
    ADD COLUMN low  float8 NOT NULL DEFAULT '-Infinity';

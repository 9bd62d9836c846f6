-- What became of a pattern's records is read from the index alone: the table is far wider.

CREATE INDEX detection_closed ON scanner.detection (pattern, timeframe, symbol)
    INCLUDE (detected_ms, outcome, return_pct, mfe_pct, mae_pct) WHERE outcome > 0;
DROP INDEX scanner.detection_pattern;

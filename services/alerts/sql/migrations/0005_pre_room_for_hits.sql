-- When one tick fires every alert of a page, each finds room for its new version beside the old one: no index
-- is written then. Pages written before keep what room they have.
ALTER TABLE alerts.alert SET (fillfactor = 50);

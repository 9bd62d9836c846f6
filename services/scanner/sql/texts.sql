-- The queries of texts about assets.

-- name: add_texts
-- Take texts in; the first word about an id holds. Gives the ids that were new.
-- $1 ids  $2 published_ms  $3 titles  $4 sources  $5 urls  $6 assets, JSON lists
INSERT INTO scanner.text (id, published_ms, title, source, url, assets)
SELECT t.id, t.published_ms, t.title, t.source, t.url, ARRAY (SELECT jsonb_array_elements_text(t.assets))
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::jsonb[])
       AS t (id, published_ms, title, source, url, assets)
ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: texts
-- The newest texts since a moment. $1 since_ms  $2 limit
SELECT id, published_ms, title, source, url, assets FROM scanner.text
 WHERE published_ms >= $1
 ORDER BY published_ms DESC
 LIMIT $2;

-- name: drop_texts
-- Texts before a moment go. $1 before_ms
DELETE FROM scanner.text WHERE published_ms < $1;

-- Which sessions fail most: the share of their events that have an error.
-- GET /reports/top-conversations?window=7d&min_events=5
SELECT conversation_id, count() AS events, countIf(error != '') AS errors, errors / events AS error_rate,
    quantileExact(0.95)(latency_ms) AS p95_ms, min(timestamp) AS started_at, max(timestamp) AS ended_at
FROM events FINAL
WHERE timestamp >= {start:DateTime64(3, 'UTC')} AND timestamp < {end:DateTime64(3, 'UTC')}
    AND conversation_id != ''
GROUP BY conversation_id
HAVING events >= {min_events:UInt32}
ORDER BY error_rate DESC, events DESC, conversation_id
LIMIT {limit:UInt32}

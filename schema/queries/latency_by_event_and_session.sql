-- How long things take: exact quantiles by event name within each session, the slowest first.
-- GET /reports/latency?by=event_name,conversation_id&window=24h
SELECT event_name, conversation_id, count() AS events,
    quantileExact(0.5)(latency_ms) AS p50_ms,
    quantileExact(0.95)(latency_ms) AS p95_ms,
    quantileExact(0.99)(latency_ms) AS p99_ms
FROM events FINAL
WHERE timestamp >= {start:DateTime64(3, 'UTC')} AND timestamp < {end:DateTime64(3, 'UTC')}
    AND latency_ms IS NOT NULL AND conversation_id != ''
GROUP BY event_name, conversation_id
ORDER BY p95_ms DESC, event_name, conversation_id
LIMIT {limit:UInt32}

-- What fails: errors and their rate by event name. Over seven days of one event name: add AND event_name = 'search'.
-- GET /reports/errors?start=...&end=...&limit=100
SELECT event_name, count() AS events, countIf(error != '') AS errors, errors / events AS error_rate
FROM events FINAL
WHERE timestamp >= {start:DateTime64(3, 'UTC')} AND timestamp < {end:DateTime64(3, 'UTC')}
GROUP BY event_name
ORDER BY errors DESC, event_name
LIMIT {limit:UInt32}

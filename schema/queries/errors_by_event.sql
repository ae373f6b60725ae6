-- What fails: errors of one event type, and their rate.
-- GET /reports/errors?window=7d&event_name=search
SELECT event_name, count() AS events, countIf(error != '') AS errors, errors / events AS error_rate
FROM events FINAL
WHERE timestamp >= {start:DateTime64(3, 'UTC')} AND timestamp < {end:DateTime64(3, 'UTC')}
    AND event_name = {event_name:String}
GROUP BY event_name
ORDER BY errors DESC, event_name
LIMIT {limit:UInt32}

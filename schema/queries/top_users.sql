-- Who is most active: users by number of events.
-- GET /reports/top-users?window=24h&limit=10
SELECT user_id, count() AS events
FROM events FINAL
WHERE timestamp >= {start:DateTime64(3, 'UTC')} AND timestamp < {end:DateTime64(3, 'UTC')}
    AND user_id != ''
GROUP BY user_id
ORDER BY events DESC, user_id
LIMIT {limit:UInt32}

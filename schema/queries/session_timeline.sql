-- What happened in one session: its events in the order of time, with what went in and came out. ClickHouse sorts a UUID
-- by its second half, UUIDToNum as its text.
-- GET /conversations/{conversation_id}/events?include=input,output
SELECT id, timestamp, user_id, event_name, error, latency_ms, input, output
FROM events FINAL
WHERE conversation_id = {conversation_id:String}
ORDER BY timestamp, UUIDToNum(id)
LIMIT {limit:UInt32}

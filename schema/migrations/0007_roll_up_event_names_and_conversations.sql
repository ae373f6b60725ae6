-- Events and errors per event name and per conversation, of the same hours and generations as user_hours.
CREATE TABLE IF NOT EXISTS event_name_hours
(
    hour DateTime('UTC'),
    generation UUID,
    event_name LowCardinality(String),
    events UInt64,
    errors UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, generation, event_name);

CREATE TABLE IF NOT EXISTS conversation_hours
(
    hour DateTime('UTC'),
    generation UUID,
    conversation_id String,
    events UInt64,
    errors UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, generation, conversation_id);

-- A generation is whole in each table if its rows there add up to the hour's events; those counted before hold no more.
ALTER TABLE rollup_generations RENAME COLUMN IF EXISTS rows TO events;
TRUNCATE TABLE rollup_generations;
TRUNCATE TABLE user_hours;

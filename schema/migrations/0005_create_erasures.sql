-- Users that were erased, as SHA-256 of their ids. Rows only ever come, so their number tells a loader whether it has
-- to read them again. docs/decisions/0012 has the whole of it.
CREATE TABLE IF NOT EXISTS erasures
(
    user_hash String,
    erased_us UInt64
)
ENGINE = MergeTree
ORDER BY user_hash
SETTINGS non_replicated_deduplication_window = 1000;

-- Ids of their events: a change knows only its event's id, so this is how one that comes late is told to be erased.
CREATE TABLE IF NOT EXISTS erased_ids
(
    id UUID,
    user_hash LowCardinality(String),
    erased_us UInt64
)
ENGINE = ReplacingMergeTree(erased_us)
ORDER BY (id, user_hash)
SETTINGS index_granularity = 256, non_replicated_deduplication_window = 1000;

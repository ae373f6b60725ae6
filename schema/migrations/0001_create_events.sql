-- One row per event and version. Reads use FINAL: of the rows with one sorting key the highest version counts, and a row
-- with is_deleted = 1 hides the event. The sorting key holds immutable fields only; docs/decisions/0003 has the figures.
CREATE TABLE IF NOT EXISTS events
(
    id UUID,
    user_id String,
    conversation_id String,
    event_name LowCardinality(String),
    timestamp DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    error String,
    latency_ms Nullable(Float64) CODEC(ZSTD(1)),
    input Nullable(String) CODEC(ZSTD(1)),
    output Nullable(String) CODEC(ZSTD(1)),
    properties String CODEC(ZSTD(1)),
    conversation_metadata String CODEC(ZSTD(1)),
    accepted_us UInt64 CODEC(Delta, ZSTD(1)),
    -- 2^52 minus the microsecond of acceptance: of two creates of one id the first accepted wins, in any order.
    version UInt64 DEFAULT 4503599627370496 - accepted_us CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 DEFAULT 0,
    INDEX conversation_id_bloom conversation_id TYPE bloom_filter(0.001) GRANULARITY 1,
    PROJECTION id_index INDEX id TYPE basic WITH SETTINGS (index_granularity = 256)
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toMonday(timestamp)
ORDER BY (toStartOfHour(timestamp), conversation_id, id)
SETTINGS
    deduplicate_merge_projection_mode = 'rebuild',
    lightweight_mutation_projection_mode = 'rebuild',
    non_replicated_deduplication_window = 1000,
    min_age_to_force_merge_seconds = 3600,
    min_age_to_force_merge_on_partition_only = 1;

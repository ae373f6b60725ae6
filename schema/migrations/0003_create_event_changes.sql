-- The full log of updates and deletes per event id, for ever: any subset that arrives late must still fold to the same
-- row. The granules are small because a fold reads single ids.
CREATE TABLE IF NOT EXISTS event_changes
(
    id UUID,
    version UInt64,
    change_id UUID,
    is_deleted UInt8,
    fields Array(LowCardinality(String)),
    event_name Nullable(String),
    error Nullable(String),
    latency_ms Nullable(Float64),
    input Nullable(String) CODEC(ZSTD(1)),
    output Nullable(String) CODEC(ZSTD(1)),
    conversation_metadata String CODEC(ZSTD(1)),
    patch String CODEC(ZSTD(1)),
    input_embeddings_base64 String EPHEMERAL '',
    output_embeddings_base64 String EPHEMERAL '',
    input_embeddings Array(Float32) DEFAULT reinterpret(base64Decode(input_embeddings_base64), 'Array(Float32)') CODEC(NONE),
    output_embeddings Array(Float32) DEFAULT reinterpret(base64Decode(output_embeddings_base64), 'Array(Float32)') CODEC(NONE)
)
ENGINE = ReplacingMergeTree
ORDER BY (id, version, change_id)
SETTINGS index_granularity = 256, non_replicated_deduplication_window = 1000;

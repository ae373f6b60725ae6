-- Embeddings stand apart from events: they are ballast for every report and every fold. They arrive as base64 of
-- little-endian float32; the ephemeral columns take that text and are not stored.
CREATE TABLE IF NOT EXISTS event_embeddings
(
    id UUID,
    conversation_id String,
    timestamp DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    input_embeddings_base64 String EPHEMERAL '',
    output_embeddings_base64 String EPHEMERAL '',
    input_embeddings Array(Float32) DEFAULT reinterpret(base64Decode(input_embeddings_base64), 'Array(Float32)') CODEC(NONE),
    output_embeddings Array(Float32) DEFAULT reinterpret(base64Decode(output_embeddings_base64), 'Array(Float32)') CODEC(NONE),
    accepted_us UInt64,
    version UInt64 DEFAULT 4503599627370496 - accepted_us,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toMonday(timestamp)
ORDER BY (toStartOfHour(timestamp), conversation_id, id)
SETTINGS non_replicated_deduplication_window = 1000;

-- Ids whose changes may not be in their row yet. A mark with is_folded = 1 wins over any number of redelivered zeros.
-- Rows go 40 days after they were written, a zero before its mark; after 30 days of waiting a change is a dead letter.
CREATE TABLE IF NOT EXISTS pending_changes
(
    id UUID,
    change_id UUID,
    is_folded UInt8,
    noted_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(is_folded)
ORDER BY (id, change_id)
TTL noted_at + INTERVAL 40 DAY
SETTINGS index_granularity = 256;

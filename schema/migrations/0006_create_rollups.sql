-- Hours that were written to. A writer marks an hour after its rows are in; an hour's marks only ever grow in number, and
-- merges add them up, so that an hour ends as one row. docs/decisions/0013 tells why this decides what a rollup may answer.
CREATE TABLE IF NOT EXISTS hour_marks
(
    hour DateTime('UTC'),
    marks UInt64 DEFAULT 1,
    digest UInt64 DEFAULT rand64()
)
ENGINE = SummingMergeTree((marks, digest))
ORDER BY hour;

-- Events per user of whole hours. Every attempt to count an hour is a generation of its own, never changed once written.
CREATE TABLE IF NOT EXISTS user_hours
(
    hour DateTime('UTC'),
    generation UUID,
    user_id String,
    events UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, generation, user_id);

-- What each generation had seen of an hour's marks, and how many rows of user_hours it holds. Announced before its rows
-- are written, so that those of an attempt that died are found; counts once it is committed.
CREATE TABLE IF NOT EXISTS rollup_generations
(
    hour DateTime('UTC'),
    generation UUID,
    is_committed UInt8,
    marks UInt64,
    digest UInt64,
    rows UInt64,
    written_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(is_committed)
ORDER BY (hour, generation);

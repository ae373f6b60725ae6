-- The integrity check reads what was accepted in one hour. The table is sorted by event time, which a client may set to
-- any day, so no partition can be left out by it; neighbours were mostly accepted together, so most granules can.

ALTER TABLE events ADD INDEX IF NOT EXISTS accepted_us_range accepted_us TYPE minmax GRANULARITY 1;

ALTER TABLE events MATERIALIZE INDEX accepted_us_range;

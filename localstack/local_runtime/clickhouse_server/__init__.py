"""A ClickHouse server for one machine: ClickHouse's HTTP interface in front of one in-process chDB engine.

The engine is ClickHouse itself; what this package decides is only how an HTTP request becomes a call of the
engine: which bytes are statement and which are data, which URL parameters are settings, what a session keeps,
and which code and HTTP status an error gets. Everything about SQL, tables and formats is left to the engine.
Clients use it as they use any ClickHouse: the stock clickhouse-connect and curl work unchanged.

Left out, with code 48 (NOT_IMPLEMENTED) where a client asks for it: ClickHouse's own block compression
(`compress=1`, `decompress=1`), TLS, and `query_id` as a handle for KILL QUERY (the engine gives its own ids).
"""

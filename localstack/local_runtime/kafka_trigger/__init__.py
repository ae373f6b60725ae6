"""Lambda's Kafka event source mapping for any endpoint that speaks Lambda Invoke.

The flow of a mapping is the list of its modules: `template` or a JSON text gives `mapping`s; for each, `runner`
turns the wheel: `poller` (records from Kafka) -> `event_shape` (AWS's bytes) -> `batching` (what makes one
invocation) -> `invoker` (Lambda) -> commit. `status` tells how far each is.
"""

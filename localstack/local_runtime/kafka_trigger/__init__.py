"""Lambda's Kafka event source mapping for any endpoint that speaks Lambda Invoke.

What a mapping is: `properties` reads a `mapping` from the command line, a `template` with its `stack`, the endpoint's
own list (`lambda_mappings`) or `mapping_api`. What happens to a record, module by module: `consumer` and `poller`
(batches from Kafka, without holes) -> `intake` with `record_batch`, `event_shape`, `filters` (AWS's bytes) ->
`batching` and `pollers` (what makes one invocation) -> `dispatch` with `retry` (what comes after it) -> `invoker`
(Lambda) or `destinations` with `failure_record` -> commit. `runner` turns the wheel of one mapping, `supervisor` has
them all, `status` and `metrics` tell how far each is.
"""

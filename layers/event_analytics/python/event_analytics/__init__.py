"""The shared package: pure stages of the pipeline, the adapters they are joined to, and their settings.

Read it in the order of the data: decode -> validate -> routing -> kafka_batch -> load, archive -> windows -> reports.
It ships as a Lambda layer and is installed like any other package everywhere else.
"""

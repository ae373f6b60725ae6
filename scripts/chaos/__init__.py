"""`python -m scripts.chaos`: mixed operations go in over HTTP while parts of a stack of its own are killed.

    workload    which operations, from a seed (pure)
    history     what was sent for each id, and which states that allows (pure)
    sending     the threads that send, retry and note what was acknowledged
    killing     when what is killed, and how it comes back
    settling    waiting until everything acknowledged has arrived
    reading     the answers and the archive, as they are in the end
    topics      the topics, as a consumer of their own reads them
    verdict     the answers against the histories (pure)
    order       the topics against the order of sending (pure)
    run         the order of one seeded run
    __main__    the command: its options, its table, its exit codes

A call without an answer may or may not have taken effect; it is allowed both, and never counted as lost.
"""

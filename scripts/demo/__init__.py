"""`python -m scripts.demo`: real events go in over HTTP, and every answer is held against an independent count.

    sources     which events: the sample conversations or a file
    tally       what was accepted, counted here in plain Python (pure)
    reading     the read API, asked over HTTP
    probing     how long an acknowledged event takes to show
    checking    answers against the tally (pure)
    archive     what lies in the archive bucket
    printing    tables for a person
    run         the order of it all
    __main__    the command: its options, its exit codes, the stack around it

What an answer should be is never asked of the system under test.
"""

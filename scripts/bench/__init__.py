"""`make bench`: the whole path measured from outside, each stage beside its limit and beside what others would use.

`workload` makes the requests, `sender` sends them from a process of its own, `processes` tells whose the CPU time is,
`freshness` sees events become visible. `sustained`, `brief`, `stages`, `rivals`, `packages` and `growth` are the
sections, each on a stack of its own; `report` prints and keeps what came out.
"""

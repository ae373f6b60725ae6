"""Programs of the bench's own environment: what others would use, each a process that takes turns with ours.

None imports anything of ours. Each takes jobs as lines of JSON and answers each with one (`turns.serve`).
"""

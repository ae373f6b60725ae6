"""`make deploy STAGE=...` and `make destroy STAGE=...`: a stage's stacks in order, outputs passed on as parameters.

A stage is a file of `infrastructure/stages/`. `stages` reads it, `stacks` knows the stacks, `plan` decides what is to
be done, `running` does it or, for a dry run, prints the commands that would.
"""

"""Operator's commands: `python -m scripts.<name>`. Each prints for people and exits 0 when all is well."""

"""What is measured: ``python -m benchmarks [names]``, each name a module here that prints a table.

Machines differ and are busy with other things, so what counts in a table is a ratio: everything is measured against a
baseline in the same run, the two taking turns.
"""

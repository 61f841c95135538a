"""What searches without a model find on every shipped problem, verified; writes docs/suite.md and problems/README.md.

A job for a person, on a machine with nothing else running (six minutes a problem):

    python -m bench.suite --folder suite

Every run is the command line, and runs whose ledger has ended are not repeated. Figures come from ledgers alone.
"""

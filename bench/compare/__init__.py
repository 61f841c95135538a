"""Programs of a ledger beside baselines and the seed program: right first, then timed in pairs, then told apart."""

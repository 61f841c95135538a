"""What makes proposals: a protocol (`base`), the syntactic mutator with its bandit, the tuner."""

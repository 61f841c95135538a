"""Fixed compiled kernels that problems share."""

"""Model servers of our own: starts vLLM as somebody else's program, watches it, says where it is. Imports no vLLM."""

"""Arrays, clocks, processes and jails: what runs untrusted programs. Knows nothing of evolution."""

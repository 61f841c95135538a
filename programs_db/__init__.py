"""Programs, proposals, evaluations, cells and lineage. Knows nothing of problems, models or processes."""

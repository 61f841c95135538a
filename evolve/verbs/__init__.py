"""The verbs of the command line, a module each with `configure(parser)` and `run(args) -> exit code`."""

"""What evolution makes of a model that knows nothing; writes docs/random-model.md and the drawing beside it.

    EVOLVE_VLLM=$(.ci/vllm) python -m bench.perf.random_model --folder /tmp/random --write docs/random-model.md

A real vLLM on the CPU serves a model with random weights. Its answers are held to the grammar of edits, the syntactic
mutator is off, and all else is a run like any other. Beside it: independent draws from the grammar of the seed program,
and the same run with a server that draws from each request's grammar. Half an hour on 2 cores; what is in the folder
already is not repeated. Needs the extra `test`.
"""

"""How full an engine keeps a model server, and what each program costs it; beside a peer, on the same server.

    python -m bench.perf.kept_full run --contender ours --contender openevolve --out kept_full.json
    python -m bench.perf.kept_full table kept_full.json

The server is a fake with so many slots and a fixed latency, in a process of its own (`server`), so that its GPU costs
nothing and never fails. The problem is trivial: what is left is the engine. Figures are those of the part of a run
between its first seconds and the emptying of the slots at its end; what others on the machine took meanwhile is told
(this harness included, some 0.05 cores). Needs the extra `test`.
"""

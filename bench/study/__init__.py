"""Designed experiments: problems x strategies x seeds under a matched budget, and sentences that say what they showed.

`plan` knows what is asked, `trials` and `job` run it, `outcomes` is what is left of a run, `statistics` and `claims`
what can be said of many, `page` and `results` tell it. Every run is a ledger. How a search searches is not known here.
"""

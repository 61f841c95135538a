"""What a run found, as one self-contained HTML file, as Markdown and as CSV: facts from the ledger, then pages of them.

`write.py` is the door. Every figure comes from the ledger; what programs and models wrote is shown as text.
"""

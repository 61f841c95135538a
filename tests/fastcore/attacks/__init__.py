"""The attacks of TRUST.md, section 4, by chapter; each runs in every context of `hosts.CONTEXTS`."""

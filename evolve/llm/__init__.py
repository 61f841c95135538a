"""The language model as a mutator: what it is asked, how it is asked, and what is read from its reply."""

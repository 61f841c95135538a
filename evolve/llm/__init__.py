"""The model as mutator: requests, prompts, and what is made of replies. Nothing here imports an inference engine."""

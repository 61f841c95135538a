"""Comparisons of discovered algorithms."""

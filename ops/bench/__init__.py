"""Bench: measure what the product costs, beside a limit measured in the same run."""

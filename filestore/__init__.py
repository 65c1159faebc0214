"""Exams: the rules (pure) and the paper (durable). Standard library only; never logs."""

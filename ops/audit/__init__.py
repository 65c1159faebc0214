"""Audit: what the log proves, and what became of one exam, command or task, in plain words."""

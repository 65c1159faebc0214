"""Audit: prove from the log alone what became of each command, or say where it cannot."""

"""Chaos: break a private system while it works, and judge what became of what it acknowledged."""

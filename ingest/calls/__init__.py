"""Calls: all that can be asked of the gateway, in the words that its description is made of."""

"""Support: what tests of several folders share."""

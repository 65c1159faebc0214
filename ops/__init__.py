"""Cellar and roof: settings, log and event names below everyone; the command line above."""

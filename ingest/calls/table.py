"""Table: every call, once. The application's routes are compared with it."""

from ingest.calls import about, commands, events, exams, lists

OPERATIONS = (*exams.CALLS, *lists.CALLS, *commands.CALLS, *events.CALLS, *about.CALLS)

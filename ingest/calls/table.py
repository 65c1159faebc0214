"""Table: every call, once. The application's routes are compared with it."""

from ingest.calls import about, commands, events, exams, lists
from ingest.calls.operation import without
from ingest.guide import PROBLEMS_TO_COME

TABLE = (*exams.CALLS, *lists.CALLS, *commands.CALLS, *events.CALLS, *about.CALLS)

#: Operations and parameters that are described and not there yet. Each leaves this list, and its
#: problems that of the guide, with the code that brings it.
TO_COME = frozenset(
    {
        *("listExams", "countExams"),
        "listenToEvents",
        "sendCommands",
    }
)
#: What can be asked for.
OPERATIONS = without(TABLE, TO_COME | PROBLEMS_TO_COME)

"""Commands: the calls about commands of any kind. Values only."""

from ingest.access import Scope
from ingest.calls.operation import NDJSON, Answer, Body, Link, Operation, Parameter
from ingest.calls.parts import COMMANDS, KEY, SENDING, TEXT, TO_COMMAND, taken
from ingest.calls.samples import BULK, BULK_ANSWER, ECHOED, ECHOES, STANDING

CALLS = (
    Operation(
        id="echo",
        method="POST",
        path="/echo",
        tag=COMMANDS,
        summary="Echo a text after a delay",
        text="Answered at once; a worker prints the text after `delay` seconds, 20 by default, or "
        "as the system is set.",
        parameters=(KEY,),
        body=Body(text="What to print.", shape="Echo", examples=ECHOES),
        scope=Scope.WRITE,
        answers=(taken(ECHOED, TO_COMMAND),),
        problems=SENDING,
    ),
    Operation(
        id="sendCommands",
        method="POST",
        path="/commands",
        tag=COMMANDS,
        summary="Send many commands",
        text="One JSON object per line, `type`, `data` and, if wanted, `id` and `source`, as on "
        "the stream `invigil:commands` (see `/asyncapi.json`). Any number of lines; blank ones "
        "are skipped and counted. A bad line costs no other: its answer is a problem, `not-json`, "
        "`too-large` or `invalid-command`. When the body stops early, what was whole has been "
        "taken.",
        body=Body(
            text="Commands, line by line.",
            media=NDJSON,
            examples={"two": BULK},
            pattern=r"[^\t-\r ]",
        ),
        scope=Scope.WRITE,
        answers=(
            Answer(
                status=200,
                text="One line per command, in order: `line`, and `command_id`, `entry` and `pk`, "
                "or the `problem` with this line.",
                media=NDJSON,
                example=BULK_ANSWER,
            ),
        ),
        problems=("broken-body", "too-slow", "empty-body", "unsupported-media-type", "unavailable"),
    ),
    Operation(
        id="showCommand",
        method="GET",
        path="/commands/{id}",
        tag=COMMANDS,
        summary="Show where a command stands",
        text="`accepted` until it has been judged, then the verdict; `dead` when it was set aside "
        "for people.",
        parameters=(
            Parameter(
                name="id",
                place="path",
                text="The `command_id` or the `entry` of a 202.",
                schema={**TEXT, "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,149}$"},
                example=STANDING["command_id"],
            ),
        ),
        scope=Scope.READ,
        answers=(
            Answer(
                status=200,
                text="Where it stands.",
                shape="Standing",
                example=STANDING,
                links=(
                    Link(
                        to="showExam",
                        given={"pk": "$response.body#/pk"},
                        text="Its exam; an echo has none.",
                        is_certain=False,
                    ),
                ),
            ),
        ),
        problems=("unknown-command", "unavailable"),
    ),
)

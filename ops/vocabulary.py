"""Vocabulary: what each kind of log line means, and which keys it has."""

from collections.abc import Mapping

from ops.events import Event, Kind
from ops.gateway_lines import AT_THE_GATEWAY

#: What a line about one command says of it, and one about an exam's command.
_IDS = "command_id entry type trace_id"
_COMMAND = f"{_IDS} pk"
_TASK = "task_id task"
_MANY = "type pks command_ids entries"
_VERDICT = f"{_COMMAND} verdict reason at_ms value source deadline_ms redelivered {_TASK}"

VOCABULARY: Mapping[Event, Kind] = {
    # --- commands ---------------------------------------------------------------------------
    Event.ACCEPTED: Kind.of(
        "gateway: Redis has the entry; the 202 goes out next",
        _IDS,
        "pk",
    ),
    Event.BULK_ACCEPTED: Kind.of(
        "gateway: what `accepted` says, of commands of one body that are alike, or of starts that "
        "came at once",
        _MANY,
        "trace_ids",
    ),
    Event.ANSWERED_AGAIN: Kind.of(
        "gateway: a request came again under its idempotency key; its command was on the stream",
        _IDS,
        "pk",
    ),
    # Nothing of it reached the stream, and the client was told so: there is nothing to account for.
    Event.REQUEST_REFUSED: Kind.of(
        "gateway: a request was answered 4xx; nothing went to the stream",
        "status method path problem detail trace_id",
        is_audit=False,
    ),
    # Of these an entry may lie on the stream that has no `accepted`.
    Event.REQUEST_FAILED: Kind.of(
        "gateway: a request, or a part of one, was answered 5xx; the client is told to come again",
        "status method path problem detail trace_id",
        "command_id type pk exception",
    ),
    **AT_THE_GATEWAY,
    Event.DISPATCHED: Kind.of(
        "dispatcher: an entry was read, decoded, and given to a Celery task",
        f"{_COMMAND} task_id redelivered",
    ),
    Event.BULK_DISPATCHED: Kind.of(
        "dispatcher: what `dispatched` says, of commands of one type that one task was given",
        f"{_MANY} trace_ids task_id redelivered",
    ),
    Event.BURIED: Kind.of(
        "dispatcher or worker: an entry went to the dead letters, with its reason",
        "entry reason trace_id",
        f"command_id type pk {_TASK}",
    ),
    Event.REPLAYED: Kind.of(
        "`invigil dead`: a person put a dead letter back",
        f"letter {_COMMAND} at_ms reason new_entry by why",
    ),
    Event.DISCARDED: Kind.of(
        "`invigil dead`: a person gave a dead letter up",
        f"letter {_COMMAND} at_ms reason fields by why",
    ),
    Event.APPLIED: Kind.of(
        "worker: a command's effect is on disk: it did what it asked for",
        _VERDICT,
    ),
    Event.BULK_APPLIED: Kind.of(
        "worker-exam: what `applied` says, of commands of one type that were applied together; "
        "none of them names a source, or was there before",
        f"{_MANY} trace_ids arrivals_ms values deadlines_ms {_TASK}",
    ),
    Event.DUPLICATE: Kind.of(
        "worker: the same command came again, without effect; an exam's stands in its history",
        f"{_IDS} reason {_TASK}",
        "pk verdict at_ms value source deadline_ms redelivered",
    ),
    Event.REFUSED: Kind.of(
        "worker: a command was left without effect, for a reason of the rules; an exam's stands "
        "in its history",
        f"{_IDS} reason {_TASK}",
        "pk verdict at_ms value source deadline_ms redelivered",
    ),
    Event.CORRECTED: Kind.of(
        "worker: a command that surfaced late changed a decision already made",
        _VERDICT,
    ),
    Event.WAITING: Kind.of(
        "worker: a command of an exam not started yet stays in the inbox; said at each try",
        f"{_COMMAND} {_TASK}",
    ),
    Event.FOREIGN_DROPPED: Kind.of(
        "worker: a field that no dispatcher wrote was removed from an inbox", f"pk field {_TASK}"
    ),
    Event.MESSAGE_REFUSED: Kind.of(
        "worker: a message in a Celery queue was none of ours; it was thrown away, and nothing of "
        "it ran",
        "queue reason",
    ),
    Event.ONE_BY_ONE: Kind.of(
        "worker-exam: something went wrong with exams that were answered together; each is looked "
        "at alone",
        "exams error",
        is_audit=False,
    ),
    Event.FAILED: Kind.of(
        "any part: an entry, one exam of a batch, or the look at who reads events failed for a "
        "reason that nobody expected",
        "exception",
        f"command_id entry type pk attempt trace_id {_TASK}",
    ),
    Event.TASK_ENDED: Kind.of(
        "worker: a Celery task came to its end", f"{_TASK} took_ms state", "trace_id"
    ),
    # --- deadlines --------------------------------------------------------------------------
    Event.DEADLINE_SET: Kind.of(
        "worker: deadlines were set, in the step that has their exams' starts recorded",
        f"pks {_TASK}",
    ),
    Event.DEADLINE_DELETED: Kind.of(
        "worker: exams have no deadline any more, in the step that has their decisions recorded",
        f"pks {_TASK}",
    ),
    Event.DEADLINE_FIRED: Kind.of(
        "dispatcher: a deadline was due and became exam.expire on the stream",
        "pk entry deadline_ms late_ms",
    ),
    Event.BULK_DEADLINE_FIRED: Kind.of(
        "dispatcher: what `deadline_fired` says, of deadlines that were due at once",
        "pks entries deadlines_ms lates_ms",
    ),
    Event.DEADLINE_RESTORED: Kind.of(
        "dispatcher: an open exam on disk had no deadline in Redis, and got it back",
        "pk deadline_ms",
    ),
    # --- echo -------------------------------------------------------------------------------
    Event.ECHO_STARTED: Kind.of(
        "worker: an echo began to sleep",
        f"{_IDS} delay_s {_TASK}",
    ),
    Event.ECHO_PRINTED: Kind.of("worker: an echo printed its text", f"{_IDS} text {_TASK}"),
    Event.ECHO_SKIPPED: Kind.of(
        "worker: an echo was delivered again while another task has it, or after it was done",
        f"{_IDS} reason {_TASK}",
    ),
    # --- mail -------------------------------------------------------------------------------
    Event.MAIL_SENT: Kind.of("worker: the digest of a slot went out", f"slot_s summary {_TASK}"),
    # Nothing happened: the digest that did go out has its own line.
    Event.MAIL_SKIPPED: Kind.of(
        "worker: nothing to send: the digest has gone out, is going out, or a later slot has begun",
        f"slot_s reason {_TASK}",
        is_audit=False,
    ),
    Event.BOOKMARK_DAMAGED: Kind.of(
        "worker: the digest's bookmark cannot be read; the next mail counts from the beginning",
        f"path error {_TASK}",
    ),
    # --- parts ------------------------------------------------------------------------------
    Event.PART_STARTING: Kind.of(
        "any part: it begins, with these settings; secrets are left out", "settings", "parts"
    ),
    Event.PART_READY: Kind.of(
        "any part: it does its work from here on; for Redis `up` says so",
        optional="is_active port url",
    ),
    Event.PART_STOPPING: Kind.of("any part: it was asked to end", optional="signal waiting_for"),
    Event.PART_STOPPED: Kind.of("any part: it ended in order"),
    Event.PART_EXITED: Kind.of(
        "`up`: a part ended by itself; part and pid are that one's", "status restart_in_s log"
    ),
    Event.PART_KILLED: Kind.of(
        "`up`: a part did not end within its grace and was killed; part and pid are that one's"
    ),
    # Whatever a process may print; what it did is in the lines that it wrote.
    Event.OUTPUT: Kind.of(
        "`up`: a part printed a line that is not a log line; the pid is null",
        "text",
        is_audit=False,
    ),
    Event.UP_READY: Kind.of("`up`: all parts are ready", "url data logs redis mail took_s"),
    Event.UP_STOPPED: Kind.of("`up`: all parts have ended", "exit_code reason"),
    # Of the steps of traces, which no audit reads.
    Event.TELEMETRY_OFF: Kind.of(
        "any part: `OTEL_*` asks for traces; none are sent, for the reason, and it goes on",
        "reason",
        is_audit=False,
    ),
    # --- dispatcher and store ---------------------------------------------------------------
    Event.LEASE_TAKEN: Kind.of("dispatcher: it is the active one from here on"),
    Event.LEASE_LOST: Kind.of("dispatcher: another one is active; it stands by"),
    # Pace, not outcome: each command that waited has its `dispatched`.
    Event.READING_PAUSED: Kind.of(
        "dispatcher: for a second as many commands stood in line as may; the rest stays unread",
        is_audit=False,
    ),
    Event.READING_RESUMED: Kind.of("dispatcher: the line moves; reading goes on", is_audit=False),
    # It names no entry, and takes only what has its last line.
    Event.TRIMMED: Kind.of(
        "dispatcher: entries that everyone is done with, and that are old enough, left the stream",
        "removed",
        is_audit=False,
    ),
    # Nobody was told of what they held.
    Event.LEFTOVERS_SWEPT: Kind.of(
        "worker: files of writes that never ended were removed", "files", is_audit=False
    ),
    Event.EXAM_DAMAGED: Kind.of(
        "worker, dispatcher or gateway: an exam's file is not a document of ours. Said once; "
        "nothing was overwritten",
        "pk error",
        _TASK,
    ),
    Event.EXAM_REBUILT: Kind.of(
        "dispatcher: a damaged file was set aside, and the exam made anew from the stream",
        "pk status deadline_ms entries kept error",
    ),
    Event.EXAM_NOT_REBUILT: Kind.of(
        "dispatcher: a damaged file stays and its exam waits: the stream does not tell it for sure",
        "pk reason error",
    ),
    # --- the world: it explains what was late, and which lines the log lacks -----------------
    Event.UNAVAILABLE: Kind.of(
        "any part: something is away and is tried again for ever. Said once per process until it "
        "is back; for one exam's lock, held for too long, at each try",
        "what error",
        f"error_type pk {_TASK}",
    ),
    Event.AVAILABLE: Kind.of(
        "any part: it was used with success again, after so many failures", "what failures", _TASK
    ),
    # --- the log itself ---------------------------------------------------------------------
    Event.LOG_OPENED: Kind.of(
        "any part: the first line of a process, and of one that was forked from it",
        "file after ended",
    ),
    Event.LOG_ROTATED: Kind.of(
        "any part: the file was full and got another name; this one goes on", "file after"
    ),
    Event.LOG_REMOVED: Kind.of("any part: its oldest full file was removed", "file chains"),
    Event.LOG_CLOSED: Kind.of("any part: the last line of a process that ends in order", "ended"),
}


def is_audited(name: object) -> bool:
    """Whether an audit needs the lines of that name, so that they are written at every level."""
    return isinstance(name, Event) and VOCABULARY[name].is_audit

"""Glossary: every key that a log line may have, what it means, and its unit."""

from collections.abc import Mapping

#: Keys that every line has, whatever its event.
COMMON = ("ts", "event", "part", "pid", "level", "chain", "seq", "prev")
#: Keys that are bound while a process is at something: all that it says meanwhile may have them.
IN_TASK = ("task_id", "task")
IN_REQUEST = ("command_id", "type", "pk", "trace_id", "key")
CONTEXT = (*IN_TASK, *IN_REQUEST)

#: A time that ends in `_ms` is in milliseconds since 1970, in UTC, on Redis' clock.
KEYS: Mapping[str, str] = {
    # --- every line -------------------------------------------------------------------------
    "ts": "when it was written: ISO 8601, UTC, milliseconds, on this machine's clock",
    "event": "what happened: one name of this list; in a library's record its message",
    "part": "whose line it is, also the name of its file; in `up`'s lines, whom it speaks of",
    "pid": "process id of the part",
    "level": "`debug`, `info`, `warning`, `error` or `critical`",
    "logger": "only in a library's record: which one wrote it",
    "exception": "traceback, many lines in one text",
    "chain": "this process' chain of lines: 16 hex characters",
    "seq": "the line's number in its chain, from 1",
    "prev": "hash of the chain's line before this one, without its newline: the first 128 bits of "
    "its SHA-256 in 32 hex characters; zeros in the first line",
    # --- commands ---------------------------------------------------------------------------
    "entry": "id of the command's entry in the stream; in `deadline_fired`, of its exam.expire",
    "command_id": "the producer's own id of the command; without one, the entry id",
    "type": "`exam.start`, `exam.finish`, `exam.expire` or `echo`; of a dead letter as it says",
    "pk": "the exam; null in `dispatched` for an echo, and where a dead letter names none",
    "source": "who gave the command its id, if the producer says; else null",
    "trace_id": "W3C trace context: 32 hex characters, the same from the request to the last line",
    "task_id": "Celery's id of the task that the command was given to, or that speaks",
    "task": "name of that Celery task",
    "redelivered": "whether it was there before: given out again, or on the disk already",
    "verdict": "`applied`, `duplicate`, `refused` or `corrected`, as in the exam's history",
    "reason": "why, in words; null where nothing has to be explained",
    "at_ms": "the ingress time, by which the command is judged",
    "value": "what the command carries: of a start seconds, of a finish `pass` or `fail`, of an "
    "expiry its deadline in ms",
    "attempt": "how often this command has been tried by now",
    "queue": "the Celery queue; null where the message was no JSON",
    "field": "name of the field that was removed, escaped, at most 200 characters",
    "took_ms": "how long the task ran, in milliseconds",
    "state": "how the task ended: `SUCCESS`, `FAILURE` or `RETRY`",
    # --- many commands in one line ------------------------------------------------------------
    "pks": "the exams; there is no `pk` then. Each other list of the line has a value for each of "
    "them, in this order, or a single one that all have",
    "command_ids": "the `command_id` of each",
    "entries": "the `entry` of each; in `exam_rebuilt` ids of the entries that the exam was made "
    "of, in its history's order",
    "trace_ids": "the `trace_id` of each",
    "arrivals_ms": "the `at_ms` of each",
    "values": "the `value` of each",
    "deadlines_ms": "the `deadline_ms` of each",
    "lates_ms": "the `late_ms` of each",
    # --- deadlines --------------------------------------------------------------------------
    "deadline_ms": "the exam's deadline",
    "late_ms": "how long after the deadline its exam.expire was written, in milliseconds",
    # --- dead letters -----------------------------------------------------------------------
    "letter": "id of the dead letter",
    "new_entry": "id of the entry that the letter became",
    "fields": "the fields of the entry, as its producer wrote them",
    "by": "who did it",
    "why": "the reason that this person gave",
    # --- echo and mail ----------------------------------------------------------------------
    "delay_s": "how long the echo sleeps, in seconds",
    "text": "what was printed",
    "slot_s": "the digest's slot: when it began, in seconds since 1970",
    "summary": "what the digest counts, in words",
    # --- requests ---------------------------------------------------------------------------
    "method": "HTTP method of the request",
    "path": "path of the request; of a file, where it lies",
    "problem": "which problem was answered: `urn:invigil:problem:<name>`",
    "detail": "the answer's detail; for a 500, the error that the answer keeps to itself; of a "
    "body of many commands the first line that was refused, or null",
    "key": "id of the API key that the request came with, or that the line is about",
    "peer": "address that the request came from; of a rate the address it is about, for IPv6 its "
    "/64, or `everyone`; null where there is none",
    "setting": "the setting that a limit is from",
    "limit": "how many requests may come: a number and `/second`, `/minute` or `/hour`",
    "name": "what the key is for, in its maker's words",
    "scope": "what the key may do: `read`, `write` or `admin`; each includes those before it",
    "expires_ms": "from when on the key, or the certificate, is none any more; null: never",
    "heads": "connections that sent no whole head of a request in time",
    "answers": "connections whose clients did not take their answers in time",
    "most": "how many connections there may be",
    "turned_away": "connections since `connections_full` that were closed, or got one answer",
    "taken": "how many commands of a body Redis has",
    "refused": "how many lines of a body were answered with a problem; how many requests with 429",
    "status": "of an answer, its HTTP status; of a process, its exit code or the signal that ended "
    "it; of an exam, where it stands",
    # --- parts ------------------------------------------------------------------------------
    "settings": "name to value, without secrets",
    "parts": "the parts that `up` starts",
    "is_active": "whether this dispatcher has the lease, or stands by",
    "port": "TCP port on which the sink takes mail",
    "url": "where the gateway listens",
    "signal": "the signal that asked a worker to end",
    "waiting_for": "the parts of one stage that `up` has asked to end",
    "restart_in_s": "seconds until the part is started again",
    "log": "file to look into",
    "data": "the data folder",
    "logs": "the folder of the logs",
    "redis": "URL of the Redis in use, without password",
    "mail": "the sink's Maildir, or URL of the mail server, without password",
    "took_s": "seconds from the start until all parts were ready",
    "exit_code": "exit code of `up`",
    # --- dispatcher and store ---------------------------------------------------------------
    "removed": "number of entries that left the stream",
    "exams": "how many exams a bell was for",
    "files": "number of files that were removed",
    "kept": "where the damaged file lies now",
    # --- the world --------------------------------------------------------------------------
    "what": "what is away: `redis`, `disk`, `mail`, `keys` (the file of API keys), `certificate`, "
    "`stream` (its ids are used up), `log` (the part's own file), or `lock` (one exam's)",
    "error": "what was seen, in words",
    "error_type": "Python's name of the error",
    "failures": "how many tries failed meanwhile; of `log`, how many lines the file lacks",
    # --- the log itself ---------------------------------------------------------------------
    "file": "name of the log file",
    "after": "name of the full file before this one, or null",
    "ended": "chains that have ended and that nobody has accounted for yet: of each its `chain`, "
    "the `seq` and hash (`head`) of its last line, `part` and `pid`; where it was killed while it "
    "wrote several, that is the line before these, and `or_seq` and `or_head` are of their last",
    "chains": "of each chain in the removed file, the number and hash of its last line there",
}

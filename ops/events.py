"""Events: the closed list of names that a log line can have, and when each is written."""

from enum import StrEnum


class Event(StrEnum):
    """Name of a log line. The value is what stands in the line, the comment when it is written."""

    # --- the doors of a command -------------------------------------------------------------
    #: gateway: Redis has the entry; the 202 goes out next
    ACCEPTED = "accepted"
    #: gateway: a request was answered 4xx; nothing went to the stream
    REQUEST_REFUSED = "request_refused"
    #: gateway: a request was answered 5xx; the client is told to come again
    REQUEST_FAILED = "request_failed"
    #: dispatcher: an entry was read, decoded, and given to a Celery task; carries task_id
    DISPATCHED = "dispatched"
    #: dispatcher or worker: an entry went to the dead letters, with its reason
    BURIED = "buried"
    #: `invigil dead`: a person put a dead letter back; carries who, why, and both ids
    REPLAYED = "replayed"
    #: `invigil dead`: a person gave a dead letter up; carries who, why, and all of it
    DISCARDED = "discarded"
    #: worker: a command's effect is on disk: it did what it asked for
    APPLIED = "applied"
    #: worker: the same command came again; recorded, without effect
    DUPLICATE = "duplicate"
    #: worker: recorded without effect, for a reason of the rules
    REFUSED = "refused"
    #: worker: a command that surfaced late changed a decision already made
    CORRECTED = "corrected"
    #: worker: a command of an exam not started yet stays in the inbox
    WAITING = "waiting"
    #: worker: a field that no dispatcher wrote was removed from an inbox
    FOREIGN_DROPPED = "foreign_dropped"
    #: dispatcher or worker: an entry, or one exam of a batch, failed for a reason that nobody
    #: expected; carries the traceback
    FAILED = "failed"
    #: any part: `what` is away - redis, disk, mail, the stream's ids, or this part's log - and is
    #: tried again for ever. Said once per process until it is back. For a lock that is held for too
    #: long: once per try, with its exam's pk
    UNAVAILABLE = "unavailable"
    #: any part: `what` was used with success again, after so many failures
    AVAILABLE = "available"

    # --- deadlines --------------------------------------------------------------------------
    #: worker: an exam's deadline was set, in the step that records the start
    DEADLINE_SET = "deadline_set"
    #: worker: an exam has no deadline any more, in the step that records the decision
    DEADLINE_DELETED = "deadline_deleted"
    #: dispatcher: a deadline was due and became exam.expire on the stream
    DEADLINE_FIRED = "deadline_fired"

    #: dispatcher: an open exam on disk had no deadline in Redis, and got it back
    DEADLINE_RESTORED = "deadline_restored"

    # --- echo -------------------------------------------------------------------------------
    #: worker: an echo began to sleep
    ECHO_STARTED = "echo_started"
    #: worker: an echo printed its text
    ECHO_PRINTED = "echo_printed"
    #: worker: an echo was delivered again while another task has it, or after it was done
    ECHO_SKIPPED = "echo_skipped"

    # --- mail -------------------------------------------------------------------------------
    #: worker: the digest of a slot went out
    MAIL_SENT = "mail_sent"
    #: worker: nothing to send: the digest has gone out, is going out, or a later slot has begun
    MAIL_SKIPPED = "mail_skipped"
    #: worker: the digest's bookmark cannot be read; the next mail counts from the beginning
    BOOKMARK_DAMAGED = "bookmark_damaged"

    # --- parts ------------------------------------------------------------------------------
    #: any part: it begins; carries its settings without secrets
    PART_STARTING = "part_starting"
    #: any part: it does its work from here on
    PART_READY = "part_ready"
    #: any part: it was asked to end
    PART_STOPPING = "part_stopping"
    #: any part: it ended in order
    PART_STOPPED = "part_stopped"
    #: `up`: a part ended by itself; carries its exit status and when it is started again
    PART_EXITED = "part_exited"
    #: `up`: a part did not end within its grace and was killed
    PART_KILLED = "part_killed"
    #: `up`: a part printed a line that is not a log line
    OUTPUT = "output"
    #: `up`: all parts are ready; carries URL, data folder, logs, Redis and mail sink
    UP_READY = "up_ready"
    #: `up`: all parts have ended
    UP_STOPPED = "up_stopped"

    # --- dispatcher and store ---------------------------------------------------------------
    #: dispatcher: it is the active one from here on
    LEASE_TAKEN = "lease_taken"
    #: dispatcher: another one is active; it stands by
    LEASE_LOST = "lease_lost"
    #: dispatcher: for a second all exam workers were busy; the backlog stays on the stream
    READING_PAUSED = "reading_paused"
    #: dispatcher: an exam worker has taken what waited; reading goes on
    READING_RESUMED = "reading_resumed"
    #: dispatcher: entries that everyone is done with, and that are old enough, left the stream
    TRIMMED = "trimmed"
    #: worker: a Celery task came to its end, whatever that was; carries took_ms and state
    TASK_ENDED = "task_ended"
    #: worker: files of writes that never ended were removed
    LEFTOVERS_SWEPT = "leftovers_swept"
    #: worker, dispatcher or gateway: an exam's file is not a document of ours. Said once; nothing
    #: was overwritten
    EXAM_DAMAGED = "exam_damaged"
    #: dispatcher: a damaged file was set aside, and the exam made anew from the stream
    EXAM_REBUILT = "exam_rebuilt"
    #: dispatcher: a damaged file stays, and its exam waits: the stream does not tell it for sure
    EXAM_NOT_REBUILT = "exam_not_rebuilt"

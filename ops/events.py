"""Events: the closed list of names that a log line can have, and what is to be said of each."""

from dataclasses import dataclass
from enum import StrEnum

from ops.glossary import COMMON, CONTEXT


class Event(StrEnum):
    """Name of a log line, as it stands there. `ops/vocabulary.py` says what each of them means."""

    # --- commands ---------------------------------------------------------------------------
    ACCEPTED = "accepted"
    BULK_ACCEPTED = "bulk_accepted"
    ANSWERED_AGAIN = "answered_again"
    REQUEST_REFUSED = "request_refused"
    REQUEST_FAILED = "request_failed"
    ACCESS_DENIED = "access_denied"
    RATE_EXCEEDED = "rate_exceeded"
    RATE_KEPT = "rate_kept"
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    BULK_READ = "bulk_read"
    OVERLOADED = "overloaded"
    ROOM_AGAIN = "room_again"
    CONNECTIONS_CUT = "connections_cut"
    CONNECTIONS_FULL = "connections_full"
    CONNECTIONS_FREE = "connections_free"
    CERTIFICATE_LOADED = "certificate_loaded"
    CERTIFICATE_EXPIRES = "certificate_expires"
    DISPATCHED = "dispatched"
    BULK_DISPATCHED = "bulk_dispatched"
    BURIED = "buried"
    REPLAYED = "replayed"
    DISCARDED = "discarded"
    APPLIED = "applied"
    BULK_APPLIED = "bulk_applied"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    CORRECTED = "corrected"
    WAITING = "waiting"
    FOREIGN_DROPPED = "foreign_dropped"
    MESSAGE_REFUSED = "message_refused"
    ONE_BY_ONE = "one_by_one"
    FAILED = "failed"
    TASK_ENDED = "task_ended"

    # --- deadlines --------------------------------------------------------------------------
    DEADLINE_SET = "deadline_set"
    DEADLINE_DELETED = "deadline_deleted"
    DEADLINE_FIRED = "deadline_fired"
    BULK_DEADLINE_FIRED = "bulk_deadline_fired"
    DEADLINE_RESTORED = "deadline_restored"

    # --- echo -------------------------------------------------------------------------------
    ECHO_STARTED = "echo_started"
    ECHO_PRINTED = "echo_printed"
    ECHO_SKIPPED = "echo_skipped"

    # --- mail -------------------------------------------------------------------------------
    MAIL_SENT = "mail_sent"
    MAIL_SKIPPED = "mail_skipped"
    BOOKMARK_DAMAGED = "bookmark_damaged"

    # --- parts ------------------------------------------------------------------------------
    PART_STARTING = "part_starting"
    PART_READY = "part_ready"
    PART_STOPPING = "part_stopping"
    PART_STOPPED = "part_stopped"
    PART_EXITED = "part_exited"
    PART_KILLED = "part_killed"
    OUTPUT = "output"
    UP_READY = "up_ready"
    UP_STOPPED = "up_stopped"
    TELEMETRY_OFF = "telemetry_off"

    # --- dispatcher and store ---------------------------------------------------------------
    LEASE_TAKEN = "lease_taken"
    LEASE_LOST = "lease_lost"
    READING_PAUSED = "reading_paused"
    READING_RESUMED = "reading_resumed"
    TRIMMED = "trimmed"
    LEFTOVERS_SWEPT = "leftovers_swept"
    EXAM_DAMAGED = "exam_damaged"
    EXAM_REBUILT = "exam_rebuilt"
    EXAM_NOT_REBUILT = "exam_not_rebuilt"

    # --- the world --------------------------------------------------------------------------
    UNAVAILABLE = "unavailable"
    AVAILABLE = "available"

    # --- the log itself ---------------------------------------------------------------------
    LOG_OPENED = "log_opened"
    LOG_ROTATED = "log_rotated"
    LOG_REMOVED = "log_removed"
    LOG_CLOSED = "log_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """
    What the lines of one event have in common.

    Attributes:
        when: Who writes it, and when.
        required: Keys that each of them has, besides the common ones.
        optional: Keys that some of them have.
        is_audit: Whether an audit needs it: it is written whatever INVIGIL_LOG_LEVEL says.
    """

    when: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    is_audit: bool

    @classmethod
    def of(
        cls, when: str, required: str = "", optional: str = "", *, is_audit: bool = True
    ) -> "Kind":
        """Make a kind; keys are given as one text, with spaces between them."""
        return cls(
            when=when,
            required=tuple(required.split()),
            optional=tuple(optional.split()),
            is_audit=is_audit,
        )

    @property
    def keys(self) -> frozenset[str]:
        """Every key that a line of this kind may have."""
        return frozenset((*COMMON, *CONTEXT, *self.required, *self.optional))

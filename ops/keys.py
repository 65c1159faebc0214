"""Keys: every name that Invigil uses in Redis, in one place."""

import json

#: Stream of commands: the ledger. An entry stays pending until its effect is on disk.
COMMANDS = "invigil:commands"
#: Consumer group on the commands, and the one consumer name every dispatcher uses: whoever
#: holds the lease finds what its predecessor read and did not finish as its own pending entries.
GROUP = "dispatcher"
CONSUMER = "dispatcher"
#: The consumer that holds echoes on their way through the slow queue: however many they are, they
#: are not in the way of those who look after exams.
SLOW_CONSUMER = "slow"
#: Stream of entries set aside for people, with the reason.
DEAD = "invigil:dead"
#: Hash entry id -> ingress time in milliseconds, of entries whose id does not tell it: a dead
#: letter that was put back, an id forged into the future; `BURIED` for an exam's command that was
#: buried. Kept as long as the entry.
TIMES = "invigil:times"
BURIED = "buried"
#: Hash pk -> why an exam's damaged file cannot be made anew; empty until that was looked into.
DAMAGED = "invigil:damaged"
#: Stream of what changed, bounded.
EVENTS = "invigil:events"
#: Sorted set pk -> deadline in milliseconds, on Redis' clock.
DEADLINES = "invigil:deadlines"
#: Hash status -> number of changes to it since this Redis began, for the digest mail.
COUNTS = "invigil:counts"
#: Hash field of `ops/tally.py` -> number: what workers and the dispatcher count, for metrics.
METRICS = "invigil:metrics"
#: Hash worker -> when it said so last, and how many children it has, at work on how many tasks.
#: Expires.
WORKERS = "invigil:workers"
#: String: token of the dispatcher at work; expires when its holder stops renewing.
LEASE = "invigil:lease:dispatcher"
#: String: set from when a dispatcher reads entries until it, or its successor, has placed them. It
#: does not expire: it stands for as long as there is nobody who could place them.
IN_HAND = "invigil:in-hand"
#: String ``<number> <ms>``: commands that the dispatcher has read and told no worker of, as none
#: has room, and for how long the start among them has waited that is the next. Expires.
LINE = "invigil:line"
#: String: set by an exam worker that starts, since its predecessor may have died with bells in
#: hand, and by one that finds the disk back. Seconds for which that wish stands; a dispatcher that
#: begins later rings anyway.
RING_AGAIN = "invigil:ring-again"
RING_AGAIN_S = 60
#: A key that is never there: what is asked about it is asked without effect.
NOWHERE = "invigil:nowhere"

#: Before each of Celery's keys, so that a server can be shared with other Celery applications.
CELERY = "invigil:celery:"
#: Behind it, how the names of the channels begin on which all workers hear the same: the same in
#: every database, for a right to listen names a channel in full.
FANOUT = "to-all:"
#: Celery queues.
QUEUE_EXAM = "exam"
QUEUE_MAIL = "mail"
QUEUE_SLOW = "slow"


def inbox(pk: str) -> str:
    """Hash entry id -> letter: the commands of one exam that are not yet applied."""
    return f"invigil:inbox:{pk}"


def attempts(pk: str) -> str:
    """Hash: how often work on one command of an exam alone came to no end. Expires."""
    return f"invigil:attempts:{pk}"


def attempts_together(pk: str) -> str:
    """String: how often work on all of its commands together did; no pk has a colon. Expires."""
    return f"invigil:attempts:{pk}:all"


def once(command: str) -> str:
    """String: what a command with an idempotency key asked for, and its entry. Expires."""
    return f"invigil:once:{command}"


def echo(source: str | None, command_id: str) -> str:
    """String: who is at work on an echo, or that it is done. Expires."""
    return f"invigil:echo:{json.dumps([source, command_id])}"

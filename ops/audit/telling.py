"""Telling: the story of what was asked for, as lines for a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ops.audit.explain import COMMAND_KEYS, MOST_LINES, Search, values
from ops.audit.found import Found, ids_of
from ops.audit.story import Step, Story
from ops.audit.wording import clock, count, day, number, span, text
from ops.events import Event
from ops.log import printable

DIM, PLAIN = "\x1b[2m", "\x1b[0m"
INDENT = " " * 14
#: Names that are listed; the rest is a number.
LISTED = 10
#: Said by each Celery task as its last line.
TASK_ENDED = "task_ended"


def tell(search: Search, *, is_dimmed: bool = False) -> list[str]:
    """
    Tell what became of what was asked for, in the order of time.

    Args:
        search: After its last pass. Where it found nothing, that is what is told.
        is_dimmed: Whether to dim the lines with ids, on a terminal.
    """
    match search.kind:
        case "exam":
            headings, steps = _exam(search)
        case "command":
            headings, steps = _command(search)
        case "task":
            headings, steps = _task(search)
        case _:
            return [_nothing(search)]
    left = f"{count(search.left_out, 'line')} more are left out: {MOST_LINES:,} are enough."
    tail = ["", left] if search.left_out else []
    return [*map(printable, headings), *_layout(steps, is_dimmed=is_dimmed), *tail]


def _nothing(search: Search) -> str:
    seen = count(search.lines_seen, "line")
    asked = printable(search.asked)
    return f"Nothing is known of {asked}: no exam, command or task has this name in {seen}."


def _layout(steps: Iterable[Step], *, is_dimmed: bool) -> Iterator[str]:
    date = ""
    for step in steps:
        if day(step.at_ms) != date:
            date = day(step.at_ms)
            yield from ("", f"{date} (UTC)")
        yield f"{clock(step.at_ms, on_ms=step.at_ms)}  {printable(step.says)}"
        ids = f"{INDENT}{printable(step.ids)}"
        yield f"{DIM}{ids}{PLAIN}" if is_dimmed else ids


def _exam(search: Search) -> tuple[list[str], Sequence[Step]]:
    story = Story(search.asked, _of_exam(search.found, search.asked))
    return [story.headline()], story.steps


def _command(search: Search) -> tuple[list[str], Sequence[Step]]:
    """Tell a command's own steps, and of its exam what became of it."""
    own = [one for one in search.found if search.asked in values(one.line, COMMAND_KEYS)]
    entries = _entries(own)
    headings, steps = [], []
    for story in _stories(search.found, own):
        mine = [step for step in story.steps if step.entry in entries]
        ends = [story.status_of(entry) for entry in sorted(entries) if story.status_of(entry)]
        what = f" of exam {story.pk}" if story.pk else ""
        headings.append(f"Command {search.asked}{what}: {', '.join(ends) or 'not ended'}.")
        headings.append(story.headline())
        steps += mine
    return headings, _in_order(steps)


def _task(search: Search) -> tuple[list[str], Sequence[Step]]:
    """Tell what a task was given, what it did with it, and how it ended."""
    own = [one for one in search.found if text(one.line, "task_id") == search.asked]
    given = [one for one in own if one.event == Event.DISPATCHED]
    ended = [one for one in own if one.event == TASK_ENDED]
    stories = _stories(search.found, own)
    steps = [
        replace(step, says=f"{f'Exam {story.pk}: ' if story.pk else ''}{step.says}")
        for story in stories
        for step in story.steps
        if step.task == search.asked and step.event != Event.DISPATCHED
    ]
    done = {step.entry for step in steps}
    steps += [*_given(given), *map(_end, ended)]
    said = "" if ended else " No line says that it ended: it is still at work, or it was killed."
    heading = f"Task {search.asked}: it was given {count(len(given), 'command')}.{said}"
    return [
        heading,
        *_elsewhere(stories, [one for one in given if one.entry not in done]),
    ], _in_order(steps)


def _given(given: Sequence[Found]) -> Iterator[Step]:
    if not given:
        return
    named = list(dict.fromkeys(text(one.line, "pk") or "an echo" for one in given))
    more = f" and {len(named) - LISTED} more" if len(named) > LISTED else ""
    says = f"It was given {count(len(given), 'command')}, of: {', '.join(named[:LISTED])}{more}."
    yield Step(at_ms=given[0].at_ms, says=says, ids=ids_of(given[0]))


def _end(one: Found) -> Step:
    took_ms = number(one.line, "took_ms")
    took = "" if took_ms is None else f" after {span(took_ms)}"
    says = f"The task ended{took}: {text(one.line, 'state') or 'it does not say how'}."
    return Step(at_ms=one.at_ms, says=says, ids=ids_of(one))


def _elsewhere(stories: Iterable[Story], left: Sequence[Found]) -> Iterator[str]:
    """Say what became of the commands that the task was given and did nothing with."""
    ends = {
        one.entry: end for one in left for story in stories if (end := story.status_of(one.entry))
    }
    for one in left[:LISTED]:
        of_exam = f" of exam {text(one.line, 'pk')}" if text(one.line, "pk") else ""
        became = (
            f"another task settled it: {ends[one.entry]}"
            if one.entry in ends
            else "no line says what became of it"
        )
        yield f"It did nothing with entry {one.entry}{of_exam}; {became}."
    if len(left) > LISTED:
        yield f"It did nothing with {count(len(left) - LISTED, 'more command')} either."


def _stories(found: Sequence[Found], own: Sequence[Found]) -> list[Story]:
    """Make the story of each exam that *own* lines speak of, and one of what has no exam."""
    pks = sorted({text(one.line, "pk") for one in own} - {""})
    stories = [Story(pk, _of_exam(found, pk)) for pk in pks]
    of_exams = _entries(one for one in found if text(one.line, "pk"))
    entries = _entries(own) - of_exams
    alone = [one for one in found if one.entry in entries]
    return [*stories, *([Story("", alone)] if alone else [])]


def _of_exam(found: Sequence[Found], pk: str) -> list[Found]:
    """Choose an exam's lines; a burial by the dispatcher names the entry alone."""
    entries = _entries(one for one in found if text(one.line, "pk") == pk)
    return [
        one
        for one in found
        if text(one.line, "pk") == pk or (not text(one.line, "pk") and one.entry in entries)
    ]


def _entries(found: Iterable[Found]) -> set[str]:
    return set().union(*(one.entries for one in found))


def _in_order(steps: Iterable[Step]) -> list[Step]:
    return sorted(steps, key=lambda step: step.at_ms)

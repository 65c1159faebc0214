"""Asking: what schemathesis must know of the system beside its description. Its hooks."""

import os
import re
import time
import uuid
from typing import Any

import requests
import schemathesis

#: Seconds for a start to reach the disk, on two busy cores.
APPLIED_S = 15
NDJSON = "application/x-ndjson"
#: What JSON has besides texts.
NO_TEXT = (dict, list, int, float, type(None))
KEY = "Idempotency-Key"
#: Seconds between two looks.
PAUSE_S = 0.01


def whole_numbers(_context: Any, body: Any) -> Any:
    """
    Write a whole duration as one.

    To JSON Schema 120.0 is an integer, and it cannot say otherwise. To the stream's contract it is
    none; that it is refused has a test of its own.
    """
    duration = body.get("duration") if isinstance(body, dict) else None
    if isinstance(duration, float) and duration.is_integer():
        return {**body, "duration": int(duration)}
    return body


def no_made_up_cursor(_context: Any, case: Any, _kwargs: Any) -> None:
    """
    Leave out a cursor, in a call that is to be right, but for one that an answer led to.

    A made-up one is refused, by design and by a test of its own, and no schema tells it apart.
    """
    is_made_up = case.meta and case.meta.phase.name.value != "stateful"
    if is_made_up and case.meta.generation.mode.is_positive and case.query:
        case.query.pop("cursor", None)


def wait_for_exam(_context: Any, case: Any, response: Any) -> None:
    """
    Go on when the exam is there: 202 promises that it will be, not that it is.

    Who waits in vain goes on as well, and then the check says what was not there.
    """
    if case.operation.label != "POST /exams" or response.status_code != 202:
        return
    url = str(case.operation.base_url).rstrip("/") + response.json()["location"]
    headers = {"Authorization": f"Bearer {os.environ['CONTRACT_KEY']}"}
    until = time.monotonic() + APPLIED_S
    while (
        requests.get(url, headers=headers, timeout=APPLIED_S).status_code == 404
        and time.monotonic() < until
    ):
        time.sleep(PAUSE_S)


def leave_out_uncertain(_context: Any, document: Any) -> None:
    """Follow the links that every answer has: one that leads nowhere would be an error."""
    for methods in document["paths"].values():
        for call in methods.values():
            for response in call["responses"].values():
                links = response.get("links", {})
                for name in [name for name, link in links.items() if link.get("x-optional")]:
                    del links[name]


def renew_key(_context: Any, case: Any, _kwargs: Any) -> None:
    """
    Give each call a key of its own, in place of one that is well-formed.

    A key stands for one command: its second use, with another body, is refused, and no schema
    tells. What a key is for has tests of its own.
    """
    headers = case.headers or {}
    for parameter in case.operation.headers:
        key = headers.get(KEY) if parameter.name == KEY else None
        if isinstance(key, str) and re.fullmatch(parameter.definition["schema"]["pattern"], key):
            headers[KEY] = uuid.uuid4().hex


def no_made_up_key(_context: Any, headers: Any) -> Any:
    """
    Leave out a made-up API key: the one that there is takes its place.

    What a wrong key comes to has tests of its own, and a check of schemathesis'.
    """
    return {name: value for name, value in (headers or {}).items() if name != "Authorization"}


def can_be_sent(_context: Any, case: Any) -> bool:
    """Leave out what is no text where a text is sent: on its way it would become one."""
    return case.media_type != NDJSON or not isinstance(case.body, NO_TEXT)


def as_lines(_context: Any, value: Any) -> bytes:
    """Send lines of JSON as they are: to schemathesis they are one text."""
    return value.encode() if isinstance(value, str) else bytes(value)


schemathesis.hook("map_body")(whole_numbers)
schemathesis.hook("before_load_schema")(leave_out_uncertain)
schemathesis.hook("before_call")(renew_key)
schemathesis.hook("map_headers")(no_made_up_key)
schemathesis.hook("before_call")(no_made_up_cursor)
schemathesis.hook("after_call")(wait_for_exam)
schemathesis.hook("filter_case")(can_be_sent)
schemathesis.serializer(NDJSON)(as_lines)

"""Queue messages: what somebody may put straight into a Celery queue, as kombu writes it."""

import json
import os
import pickle
import uuid
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

PICKLE = "application/x-python-serialize"
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def body(*args: object, embed: object = None, **kwargs: object) -> bytes:
    """Write a call as JSON."""
    return json.dumps([args, kwargs, embed or EMBED]).encode()


def headers(**changed: object) -> dict[str, Any]:
    """Write the headers of an exam's bell, with some changed; Ellipsis: left out."""
    task_id = str(uuid.uuid4())
    whole = {
        "lang": "py",
        "task": "tasks.exam",
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": "()",
        "kwargsrepr": "{}",
        "origin": "me",
        "eta": None,
        "expires": None,
        **changed,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def message(call: bytes, **changed: object) -> dict[str, Any]:
    """Write a message, with some of its members changed; a dash is an underscore."""
    tag = str(uuid.uuid4())
    properties = {
        "correlation_id": tag,
        "delivery_mode": 2,
        "priority": 0,
        "delivery_tag": tag,
        "delivery_info": {"exchange": "", "routing_key": "exam"},
        "body_encoding": "base64",
    }
    whole = {
        "body": b64encode(call).decode(),
        "content_encoding": "utf-8",
        "content_type": "application/json",
        "headers": headers(),
        "properties": properties,
        **changed,
    }
    return {name.replace("_", "-"): value for name, value in whole.items()}


class _Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., int], tuple[str]]:
        return os.system, (f"touch '{self._path}'",)


def pickled(path: Path, **changed: object) -> dict[str, Any]:
    """Write a message that makes a file when somebody unpickles it."""
    call = pickle.dumps([_Touch(path), {}, EMBED])
    return message(call, content_type=PICKLE, content_encoding="binary", **changed)


def unserialized(path: Path) -> dict[str, Any]:
    """List messages in formats that can carry more than values, or that are declared as such."""
    call = pickle.dumps([_Touch(path), {}, EMBED])
    yaml = f"!!python/object/apply:os.system [touch '{path}']".encode()
    types = {"data": "application/data", "none": None, "seven": 7, "text": "text/plain"}
    return {
        "pickle": pickled(path),
        "pickle of the old protocol": pickled(path, headers={}),
        "yaml": message(yaml, content_type="application/x-yaml"),
        "msgpack": message(b"\x93\x90\x80\x80", content_type="application/x-msgpack"),
        **{f"type {name}": message(call, content_type=kind) for name, kind in types.items()},
        "encoding rot13": message(body([]), content_encoding="rot13"),
        "encoding none": message(body([]), content_encoding=None),
    }


def misshapen() -> dict[str, Any]:
    """List messages in JSON that are none of ours; many of them ended a worker once."""
    following = {**EMBED, "chain": [{"task": "tasks.mail", "args": [], "kwargs": {}}]}
    bad_headers: dict[str, object] = {
        "none": None,
        "empty": {},
        "list": [1],
        "text": "x",
        "unknown task": headers(task="os.system"),
        "Celery's own task": headers(task="celery.map"),
        "task 7": headers(task=7),
        "task list": headers(task=["tasks.exam"]),
        "no id": headers(id=...),
        "id null": headers(id=None),
        "id list": headers(id=[1]),
        "retries": headers(retries="many"),
        "eta": headers(eta="junk"),
        "eta 7": headers(eta=7),
        "expires": headers(expires="junk"),
        "expires list": headers(expires=[1]),
    }
    bad_bodies = {
        "other folders": body(["../../x", "/etc/passwd", "a/b", "..", "\x00", ""]),
        "one of them": body(["good", "../x"]),
        "number": body(7),
        "text": body("ab"),
        "mixed": body([[1], {"a": 1}, None]),
        "named": body(pks=["a"]),
        "more": body(["a"], other=1),
        "too many": body(["a"], ["b"]),
        "bytes": b"\xff\x00{",
        "empty": b"[]",
        "object": b"{}",
        "old": b'{"args": []}',
        "nested": b"[" * 100_000,
        "followed": body(["a"], embed=following),
        "followed by 7": body(["a"], embed={**EMBED, "callbacks": 7}),
    }
    return {
        **{f"headers {name}": message(body(["a"]), headers=h) for name, h in bad_headers.items()},
        **{f"body {name}": message(call) for name, call in bad_bodies.items()},
        "properties empty": message(body(["a"]), properties={}),
        "no object": [],
        "null": None,
        "properties null": message(body(["a"]), properties=None),
        "nothing": {},
        "body 7": message(b"", body=7),
        "body no base64": message(b"", body="!!!"),
    }


#: What no JSON parser takes.
NO_JSON = (b"garbage", b"\xff\xfe", b"[" * 100_000, b"")

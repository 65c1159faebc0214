"""Samples: examples of what is sent and answered, all of one exam. Values only."""

_COMMAND = "math-7.01a2102b-b64d-7496-a045-7c6e49ee6555"
_ENTRY = "1795567629909-0"
_TASK = "0ae58bde-1358-4b52-ad63-799989dc9161"

STARTED = {
    "named": {"pk": "math-7", "duration": 120},
    "nameless": {},
}
RESULTS = {"passed": {"status": "pass"}, "failed": {"status": "fail"}}
ECHOES = {"hello": {"text": "hello", "delay": 20}}

ACCEPTED = {
    "command_id": _COMMAND,
    "pk": "math-7",
    "entry": _ENTRY,
    "location": "/exams/math-7",
}
ECHOED = {"command_id": "01a2102b-b64d-7496-a045-7c6e49ee6556", "entry": "1795567629910-0"}
STANDING = {
    "command_id": _COMMAND,
    "pk": "math-7",
    "state": "applied",
    "entry": _ENTRY,
    "task_id": _TASK,
}

_TIMES = {
    "started_at": "2026-11-25T00:47:09.909Z",
    "deadline": "2026-11-25T00:49:09.909Z",
    "decided_at": "2026-11-25T00:48:02.417Z",
}
_HISTORY = [
    {
        "at": "2026-11-25T00:47:09.909Z",
        "entry": _ENTRY,
        "command": _COMMAND,
        "type": "exam.start",
        "duration": 120,
        "verdict": "applied",
        "task": _TASK,
    },
    {
        "at": "2026-11-25T00:48:02.417Z",
        "entry": "1795567682417-0",
        "command": "math-7.01a2102c-833f-7120-8e3d-15d2cb4e20c1",
        "type": "exam.finish",
        "status": "pass",
        "verdict": "applied",
        "task": "5c1c1d2e-6f0b-4a56-9d0c-0a8d3f0c9b11",
    },
]
EXAM = {"pk": "math-7", "status": "pass", **_TIMES, "history": _HISTORY}
RUNNING = {**EXAM, "status": "started", "decided_at": None, "history": _HISTORY[:1]}
LIST = {
    "exams": [{"pk": "math-7", "status": "pass", **_TIMES}],
    "next": "eyJhZnRlciI6WzE3OTU1Njc2Mjk5MDksIm1hdGgtNyJdfQ",
}
COUNTS = {"started": 2, "pass": 40, "fail": 7, "absent": 1, "total": 50}

EVENT = {
    "pk": "math-7",
    "status": "pass",
    "at": "2026-11-25T00:48:02.417Z",
    "deadline": "2026-11-25T00:49:09.909Z",
    "verdict": "applied",
    "command": "math-7.01a2102c-833f-7120-8e3d-15d2cb4e20c1",
    "entry": "1795567682417-0",
}
LIVE = """\
retry: 2000

id: 1795567682431-0
event: exam.pass
data: {"pk": "math-7", "status": "pass", "at": "2026-11-25T00:48:02.417Z", \
"deadline": "2026-11-25T00:49:09.909Z", "verdict": "applied", \
"command": "math-7.01a2102c-833f-7120-8e3d-15d2cb4e20c1", "entry": "1795567682417-0"}

"""
BULK = """\
{"type": "exam.start", "data": {"pk": "math-7"}}
{"type": "exam.finish", "data": {"pk": "math-7", "status": "excellent"}}
"""
BULK_ANSWER = (
    '{"line":1,"command_id":"math-7.01a2102b-b64d-7496-a045-7c6e49ee6555",'
    '"entry":"1795567629909-0","pk":"math-7"}\n'
    '{"line":2,"problem":{"type":"urn:invigil:problem:invalid-command",'
    '"title":"The command is not valid","status":422,'
    '"detail":"status: input should be \'pass\' or \'fail\', not \\"excellent\\""}}\n'
)
METRICS = """\
# HELP invigil_redis_up 1 when Redis answered within a second; at 0 all that only Redis knows is \
left out.
# TYPE invigil_redis_up gauge
invigil_redis_up 1.0
"""
DEAD = {
    "entry": "1795567629911-0",
    "at": "1795567629911",
    "reason": "result without start",
    "deliveries": "3",
    "field:type": "exam.finish",
    "field:data": '{"pk":"math-8","status":"pass"}',
}

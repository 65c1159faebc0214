"""
Boot the installed product, without pytest or anything else that tests need, and end one exam.

A library that only the tests bring, or a file that the wheel forgot, shows up here.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

#: Seconds for the whole of it, on two busy cores.
LIMIT_S = 90


def main() -> None:
    """Start `invigil up`, start an exam, report its result, see it on disk, stop."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "var"
        env = {k: v for k, v in os.environ.items() if not k.startswith(("INVIGIL_", "REDIS_"))}
        env |= {"INVIGIL_DATA": str(data), "INVIGIL_PORT": "0"}
        up = Path(sys.executable).with_name("invigil")
        process = subprocess.Popen([str(up), "up"], env=env, cwd=folder, stdout=subprocess.PIPE)
        try:
            url = wait_for_url(process)
            post(f"{url}/exams", {"pk": "boot"})
            post(f"{url}/exams/boot/result", {"status": "pass"})
            wait_for_pass(data)
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(LIMIT_S)
    print(f"booted, one exam passed, stopped with {code}")
    sys.exit(code)


def wait_for_url(process: "subprocess.Popen[bytes]") -> str:
    """Read the output until all parts are ready."""
    assert process.stdout
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "up_ready":
            return str(event["url"])
    raise AssertionError("it ended before it was ready")


def post(url: str, body: dict[str, Any]) -> None:
    """POST a JSON body; anything but 2xx raises."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    urllib.request.urlopen(request, timeout=10).close()


def wait_for_pass(data: Path) -> None:
    """Wait for the result on disk."""
    until = time.monotonic() + LIMIT_S
    while not any(
        '"status": "pass",' in path.read_text() for path in data.glob("exams/*/boot.json")
    ):
        assert time.monotonic() < until, "no result on disk"
        time.sleep(0.05)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""
Run Invigil on a machine that has Python 3.11 or newer and nothing else.

    python3 run.py up             the whole system in this terminal
    python3 run.py COMMAND ...    any other command of invigil, such as `config` or `send --help`

    python3 run.py test                         tests on this Python, a first boot, style, types
    python3 run.py test --matrix                the same on every Python found here, and chaos
    python3 run.py test -- tests/unit -k codec  only pytest, with these arguments
    python3 run.py test -e lint                 anything else goes to tox as it stands

The first run builds an environment beside this file (.venv; for tests, in .tox), in a minute at
most. It is built again only when pyproject.toml, requirements.lock or the Python changes.
"""

# An old Python must get as far as the message that names it. So: what Python 3.6 can parse, and
# annotations in quotes where it could not evaluate them.

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
#: Minor versions of Python 3 that the tests cover; below the first, Invigil does not run.
MINORS = range(11, 15)
#: Written into an environment as the last step of building it, with the key it was built for.
MARKER = "built-for"
#: Inside a virtual environment: the Python beneath it, which is there when .venv is built again.
PYTHON = str(getattr(sys, "_base_executable", sys.executable))


def main(args: "list[str]") -> None:
    """Become tox or invigil, on a Python that can run them."""
    if sys.version_info < (3, MINORS[0]):
        use_newer_python(args)
    prepare_uv()
    if not args or args[0] in {"-h", "--help"}:
        print((__doc__ or "").strip())
    elif args[0] == "test":
        run_tests(args[1:])
    else:
        bin_folder = ensure_environment(ROOT / ".venv", ["-e", str(ROOT)])
        os.execv(str(bin_folder / "invigil"), ["invigil", *args])


def prepare_uv() -> None:
    """Let uv use what the machine has: its Pythons, and the certificates added to it."""
    os.environ["UV_PYTHON_DOWNLOADS"] = "never"
    if Path("/etc/ssl/certs/ca-certificates.crt").exists():
        os.environ.setdefault("UV_SYSTEM_CERTS", "1")


def use_newer_python(args: "list[str]") -> None:
    """Start again on the newest Python found here, or say what is missing."""
    found = interpreters(MINORS)
    if not found:
        seen = f"Invigil needs Python 3.11 or newer; this is {sys.version.split()[0]}"
        stop(f"{seen} ({sys.executable}).\nInstall one and start with it: python3.13 run.py up")
    newest = found[max(found)]
    os.execv(newest, [newest, str(ROOT / "run.py"), *args])


def run_tests(args: "list[str]") -> None:
    """Become tox, which runs the environments chosen here unless *args* choose others (-e)."""
    running = sys.version_info[1]
    found = {running: PYTHON, **interpreters([minor for minor in MINORS if minor != running])}
    servers = ["valkey", "redis"] if shutil.which("redis-server") else ["valkey"]
    if "redis" not in servers and "-e" not in args:
        say("redis-server is not on PATH, so the tests use the embedded server only")
    minors = sorted(found) if "--matrix" in args else [running]
    envs = chosen_envs(args, minors, servers, running=running)
    os.environ.setdefault("TOX_ENV", ",".join(envs))
    # tox takes what PATH has, shims that do not run too. Ours first: `python3` stays what it was.
    folders = [str(Path(path).parent) for path in found.values()]
    os.environ["PATH"] = os.pathsep.join([*folders, *os.get_exec_path()])
    bin_folder = ensure_environment(ROOT / ".tox" / "runner", ["tox", "tox-uv"])
    os.chdir(str(ROOT))
    os.execv(str(bin_folder / "tox"), ["tox", *(arg for arg in args if arg != "--matrix")])


def chosen_envs(
    args: "list[str]", minors: "list[int]", servers: "list[str]", *, running: int
) -> "list[str]":
    """
    Name the tox environments; arguments for pytest leave out those that run no pytest.

    Every Python with one server, the running one with the others: what a server does is the same
    for all of them, and each environment takes minutes. So most of what needs a server is left to
    the last Python, and to the running one with the other server. What strangers try is tried once,
    and a system is broken once, at the end.
    """
    is_spared = running != minors[-1] and len(servers) > 1
    with_pytest = [
        f"py3{minor}-{servers[0]}" + ("" if minor == minors[-1] else "-calm")
        for minor in minors
        if not (minor == running and is_spared)
    ]
    with_pytest += [f"py3{running}-{server}" for server in servers[1:]]
    if "--" in args:
        return with_pytest
    broken = ["chaos"] if "--matrix" in args else []
    return [*with_pytest, "runtime", "otel", "contract", "attack", *broken, "lint", "type"]


def interpreters(minors: "Iterable[int]") -> "dict[int, str]":
    """Find for each of *minors* a Python that really runs: on PATH, else the newest of pyenv."""
    found = {}
    for minor in minors:
        paths = filter(None, map(real_executable, candidates(f"python3.{minor}")))
        found[minor] = next(paths, "")
    return {minor: path for minor, path in found.items() if path}


def candidates(name: str) -> "list[str]":
    """List the programs called *name*, those most likely meant first."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path("~/.pyenv").expanduser())
    versions = map(str, pyenv.glob(f"versions/*/bin/{name}"))
    newest_first = sorted(versions, key=lambda path: [*map(int, re.findall(r"\d+", path))])[::-1]
    on_path = [str(Path(folder, name)) for folder in os.get_exec_path()]
    return [path for path in [*on_path, *newest_first] if os.access(path, os.X_OK)]


def real_executable(path: str) -> str:
    """Ask the Python at *path* where it lies; empty when it does not run, as some shims."""
    code = "import sys; print(getattr(sys, '_base_executable', sys.executable))"
    try:
        answer = subprocess.check_output([path, "-c", code], stderr=subprocess.DEVNULL)
        return answer.decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def ensure_environment(folder: Path, wanted: "list[str]") -> Path:
    """Return the bin folder of the environment with *wanted*, built when it is not there yet."""
    key = environment_key(ROOT, wanted)
    if not is_built(folder, key):
        say(f"building {folder.relative_to(ROOT)}, once")
        # Held as long as any process has it open: us, or an installer that outlives us.
        with (ROOT / "requirements.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_built(folder, key):
                build(folder, wanted, lock.fileno())
                (folder / MARKER).write_text(key)
    return folder / "bin"


def environment_key(root: Path, wanted: "list[str]") -> str:
    """Digest what an environment depends on; its scripts hold *root*, so a move counts."""
    files = [(root / name).read_bytes() for name in ("pyproject.toml", "requirements.lock")]
    python = [sys.implementation.cache_tag, sys.platform, os.uname().machine]
    return hashlib.sha256(repr([str(root), wanted, files, python]).encode()).hexdigest()


def is_built(folder: Path, key: str) -> bool:
    """Tell whether *folder* was completed for *key*, and the Python it links to is still there."""
    marker = folder / MARKER
    return (folder / "bin/python").exists() and marker.exists() and marker.read_text() == key


def build(folder: Path, wanted: "list[str]", lock: int) -> None:
    """Make *folder* anew with *wanted* in it, in the versions of requirements.lock."""
    uv = shutil.which("uv")
    if uv and subprocess.call([uv, "--version"], stdout=subprocess.DEVNULL) != 0:
        uv = None  # a shim without a program behind it
    if not uv and not importlib.util.find_spec("ensurepip"):
        apt = "apt-get" if os.geteuid() == 0 else "sudo apt-get"
        stop(
            f"This Python comes without pip ({PYTHON}). On Debian and Ubuntu:\n"
            f"    {apt} install -y python3.{sys.version_info[1]}-venv"
        )
    shutil.rmtree(str(folder), ignore_errors=True)
    python = str(folder / "bin/python")
    make = [uv, "venv", "--python", PYTHON] if uv else [PYTHON, "-m", "venv"]
    install = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    step([*make, str(folder)], lock)
    step([*install, "-c", str(ROOT / "requirements.lock"), *wanted], lock)


def step(command: "list[str]", lock: int) -> None:
    """Run *command*, with a dot a second; when it fails, show what it said and stop."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=[lock]
        )
        while process.poll() is None:
            print(".", end="", file=sys.stderr, flush=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
        print(file=sys.stderr)
        if process.returncode != 0:
            output.seek(0)
            stop(f"this failed: {' '.join(command)}\n{output.read()}")


def say(message: str) -> None:
    """Tell the human, out of the way of what another program may read."""
    print(f"run.py: {message}", file=sys.stderr, flush=True)


def stop(message: str) -> "NoReturn":
    """Give up with 2: neither invigil nor tox has run."""
    say(message)
    sys.exit(2)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)

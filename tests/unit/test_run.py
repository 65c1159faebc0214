"""`run.py`, the way in for a machine that has nothing: what it decides, and its last words."""

import ast
import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

RUN_PY = Path(__file__).parents[2] / "run.py"


def load_run() -> ModuleType:
    """Load run.py from where it lies: it is a script, and no package installs it."""
    spec = importlib.util.spec_from_file_location("run", RUN_PY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run = load_run()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the two files an environment is built from."""
    (tmp_path / "pyproject.toml").write_text("[project]")
    (tmp_path / "requirements.lock").write_text("redis==8.1.0")
    return tmp_path


def fake_python(folder: Path, *, version: str, script: str) -> Path:
    """Put an executable called python*version* into *folder*."""
    folder.mkdir(parents=True)
    program = folder / f"python{version}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_same_files_same_key(checkout: Path) -> None:
    """An environment is kept while nothing it was built from changes."""
    assert run.environment_key(checkout, ["tox"]) == run.environment_key(checkout, ["tox"])


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.lock"])
def test_changed_file_changes_key(checkout: Path, name: str) -> None:
    """A changed pyproject.toml or requirements.lock builds the environment again."""
    before = run.environment_key(checkout, ["tox"])

    (checkout / name).write_text("redis==8.1.1")

    assert before != run.environment_key(checkout, ["tox"])


def test_moved_checkout_changes_key(checkout: Path) -> None:
    """A copied checkout does not run the code of the one it was copied from."""
    before = run.environment_key(checkout, ["tox"])

    moved = checkout.rename(checkout.with_name("moved"))

    assert before != run.environment_key(moved, ["tox"])


def test_interrupted_build_is_not_built(checkout: Path) -> None:
    """An environment without its last file is one whose build was interrupted."""
    fake_python(checkout / ".venv/bin", version="", script="")

    assert not run.is_built(checkout / ".venv", "key")


def test_environment_without_its_python_is_not_built(checkout: Path) -> None:
    """An environment whose Python was uninstalled is built again."""
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").symlink_to(checkout / "gone")
    (checkout / ".venv" / run.MARKER).write_text("key")

    assert not run.is_built(checkout / ".venv", "key")


@pytest.mark.parametrize(
    ("minors", "servers", "expected"),
    [
        ([11, 12, 13], ["valkey", "redis"], ["py312-valkey-calm", "py313-valkey", "py311-redis"]),
        ([11, 12], ["valkey"], ["py311-valkey-calm", "py312-valkey"]),
        ([11], ["valkey", "redis"], ["py311-valkey", "py311-redis"]),
    ],
)
def test_every_interpreter_and_every_server(
    minors: list[int], servers: list[str], expected: list[str]
) -> None:
    """The tests run on each Python and on each server; the rest once."""
    actual = run.chosen_envs([], minors, servers, running=11)

    assert [*expected, "runtime", "otel", "contract", "attack", "lint", "type"] == actual


def test_arguments_for_pytest_leave_out_the_rest() -> None:
    """Who names a test wants that test, not style and types as well."""
    expected = ["py312-valkey"]

    actual = run.chosen_envs(["--", "-k", "codec"], [12], ["valkey"], running=12)

    assert expected == actual


def test_shim_that_does_not_run_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python on PATH that fails, as pyenv's shims do, gives way to pyenv's newest."""
    fake_python(tmp_path / "shims", version="3.12", script="exit 127")
    for patch in ("9", "10"):
        fake_python(tmp_path / f"versions/3.12.{patch}/bin", version="3.12", script=f"echo {patch}")
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))

    expected = {12: "10"}
    assert expected == run.interpreters([12])


def test_parses_on_old_python() -> None:
    """The grammar of Python 3.6 is enough, so that an old Python gets to the message."""
    assert ast.parse(RUN_PY.read_text(), feature_version=(3, 6))


def test_old_python_is_named_with_what_to_do(tmp_path: Path) -> None:
    """A Python too old, and no newer one around: it says what it saw and what to do."""
    old = run.interpreters(range(6, 11))
    if not old:
        pytest.skip("no Python from 3.6 to 3.10 on this machine")
    nowhere = {**os.environ, "PATH": str(tmp_path), "PYENV_ROOT": str(tmp_path)}

    for minor, path in old.items():
        ended = subprocess.run(
            [path, RUN_PY, "up"], env=nowhere, capture_output=True, text=True, check=False
        )

        assert ended.returncode == 2
        assert f"needs Python 3.11 or newer; this is 3.{minor}." in ended.stderr
        assert "Install one" in ended.stderr


def test_newer_python_takes_over(tmp_path: Path) -> None:
    """An old Python hands over to a newer one on PATH, arguments and all."""
    old = run.interpreters(range(6, 11))
    if not old:
        pytest.skip("no Python from 3.6 to 3.10 on this machine")
    newer = tmp_path / "bin/python3.13"
    says = f'[ "$1" = -c ] && echo {newer} || echo "$@"'
    fake_python(tmp_path / "bin", version="3.13", script=says)
    path = f"{tmp_path}/bin{os.pathsep}{os.defpath}"

    said = subprocess.check_output(
        [old[min(old)], RUN_PY, "status", "--help"],
        env={**os.environ, "PATH": path, "PYENV_ROOT": str(tmp_path)},
        text=True,
    )

    assert f"{RUN_PY} status --help\n" == said

"""The house: which room stands on which, read from the imports."""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("ingest", "dispatcher", "tasks", "filestore", "ops")
FILES = [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]

#: Everyone may stand on these.
CELLAR = {
    f"ops.{name}"
    for name in (
        *("settings", "formats", "places", "owned", "keys", "roles", "logins"),
        *("events", "glossary", "vocabulary", "gateway_lines", "grammar"),
        *("log", "journal", "chain", "logfile", "hygiene"),
        *("outage", "lag", "connect", "notify", "trace", "telemetry", "recorder", "tally"),
        *("chance", "garbage", "held", "portions", "many"),
    )
}
#: What each room may import of the others. Of ingest, the dispatcher needs the contract alone.
MAY_IMPORT = {
    "ingest": ("filestore", *CELLAR),
    "dispatcher": ("ingest.commands", "ingest.faults", "tasks", "filestore", *CELLAR),
    "tasks": ("filestore", *CELLAR),
    "filestore": (),
    "ops": PRODUCT,
}
#: Files that import inside functions: `invigil send` need not load Celery, and what runs as a
#: script before a part need not be loaded by everyone who starts one. What records traces is
#: loaded where someone has asked for them, and may not be installed.
LAZY = {"ops.cli", "ops.leash", "ops.telemetry"}
MAX_FILE_LINES = 260
MAX_FUNCTION_LINES = 40
#: All that lies at the top of the repository, besides dot files and what git ignores.
TOP = {
    *PRODUCT,
    "tests",
    "docs",
    "run.py",
    "pyproject.toml",
    "tox.ini",
    "requirements.lock",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
}


def module_of(path: Path) -> str:
    """Dotted name of a file's module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}
SYNTAX = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
every_module = pytest.mark.parametrize("module", list(MODULES))


def imported(node: ast.AST) -> list[str]:
    """Modules that an import statement names; `from ops import keys` names `ops.keys`."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(base), names=names, level=0):
            full = [f"{base}.{alias.name}" for alias in names]
            return [name if name in MODULES else base for name in full]
        case _:
            return []


def imports(module: str) -> set[str]:
    """Every module that *module* imports, at its top or within its functions."""
    return {name for node in ast.walk(SYNTAX[module]) for name in imported(node)}


def of_ours(names: set[str]) -> set[str]:
    """Those of the names that are modules of ours."""
    return {name for name in names if name.partition(".")[0] in PRODUCT}


def is_within(name: str, rooms: tuple[str, ...]) -> bool:
    """Whether a module is one of *rooms*, or lies in one of them."""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a module."""
    for node in ast.walk(SYNTAX[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def circle_through(module: str) -> list[str]:
    """A way from *module* back to itself along imports; empty when there is none."""
    ways = [[module]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for following in of_ours(imports(way[-1])):
            if following == module:
                return [*way, module]
            if following not in seen and following in MODULES:
                seen.add(following)
                ways.append([*way, following])
    return []


@every_module
def test_imports_go_down(module: str) -> None:
    """A room imports the rooms below it and no others."""
    room = module.partition(".")[0]
    allowed = (room, *MAY_IMPORT[room])

    assert [] == [name for name in sorted(of_ours(imports(module))) if not is_within(name, allowed)]


@pytest.mark.parametrize("module", sorted(CELLAR))
def test_cellar_stands_on_nothing(module: str) -> None:
    """What everyone stands on imports nothing of ours but its like."""
    assert of_ours(imports(module)) <= CELLAR


@every_module
def test_nobody_imports_the_roof(module: str) -> None:
    """Outside `ops` nobody needs the command line or the supervisor."""
    roof = {name for name in of_ours(imports(module)) if name.startswith("ops.")} - CELLAR

    assert module.startswith("ops") or not roof


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("filestore")])
def test_filestore_stands_alone(module: str) -> None:
    """The rules and the paper need nothing but Python, and write no log."""
    foreign = {
        name
        for name in imports(module)
        if name.partition(".")[0] not in {"filestore", *sys.stdlib_module_names}
    }

    assert set() == foreign
    assert "logging" not in imports(module)


@every_module
def test_no_circles(module: str) -> None:
    """No module needs itself, however long the way."""
    assert circle_through(module) == []


@every_module
def test_imports_are_absolute(module: str) -> None:
    """Every import says from where."""
    relative = [
        node.lineno
        for node in ast.walk(SYNTAX[module])
        if isinstance(node, ast.ImportFrom) and node.level
    ]

    assert relative == []


@pytest.mark.parametrize("module", [name for name in MODULES if name not in LAZY])
def test_no_import_is_hidden(module: str) -> None:
    """Imports stand at the top, where everyone sees them."""
    hidden = [
        f"{function.name}: {ast.unparse(node)}"
        for function in functions(module)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert hidden == []


@every_module
def test_files_are_short(module: str) -> None:
    """One file, one noun: nobody has to read more than a few screens to know it."""
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@every_module
def test_functions_are_short(module: str) -> None:
    """One function, one verb: each fits on a screen."""
    lengths = {
        function.name: (function.end_lineno or 0) - function.lineno + 1
        for function in functions(module)
    }

    assert {} == {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES}


def test_nothing_else_lies_at_the_top() -> None:
    """At the top of the repository lie the agreed names, and what git ignores."""
    ignored = [
        line.rstrip("/")
        for line in (ROOT / ".gitignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    strangers = {name for name in found - TOP if not any(fnmatch(name, rule) for rule in ignored)}
    assert set() == strangers


@pytest.mark.parametrize("folder", PRODUCT)
def test_rooms_are_packages(folder: str) -> None:
    """Each room exists and says in its first line what it is for."""
    assert ast.get_docstring(SYNTAX[folder])

"""Docs page: the description for people, one page made from the OpenAPI document."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

#: What the page may load: nothing. Its style stands in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
#: As its header has it: no page may show it within itself, which a page cannot say of itself.
HEADER_POLICY = f"{POLICY}; frame-ancestors 'none'"
#: Where the examples send to: what the gateway listens on unless it is told otherwise.
BASE = "http://localhost:8080"

_PARTS = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|([^`*]+|[`*])")


def render(document: Mapping[str, Any]) -> str:
    """Make the page from an OpenAPI document."""
    environment = Environment(
        loader=PackageLoader("ingest"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"parts": _parts, "pretty": _pretty, "name": _name}
    groups = [
        (tag, [one for one in _operations(document) if tag["name"] in one["tags"]])
        for tag in document["tags"]
    ]
    values = {
        "info": document["info"],
        "groups": groups,
        "problems": document["components"]["responses"],
        "schemas": document["components"]["schemas"],
        "policy": POLICY,
    }
    return environment.get_template("docs.html").render(values)


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give each operation with what its parts refer to, and a command line that calls it."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield {
                **operation,
                "method": method.upper(),
                "path": path,
                "curl": _curl(method.upper(), path, operation),
                "refusals": _refusals(document, operation),
            }


def _refusals(document: Mapping[str, Any], operation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the problems of an operation: status, name and title."""
    found = []
    for status, answer in operation["responses"].items():
        name = answer.get("$ref", "").rpartition("/")[2]
        whole = document["components"]["responses"][name] if name else answer
        problems = whole["content"].get("application/problem+json")
        for key, shown in problems["examples"].items() if problems else ():
            found.append({"status": status, "name": key, "title": shown["summary"]})
    return found


def _curl(method: str, path: str, operation: Mapping[str, Any]) -> str:
    """Call it with the examples of its parameters in the path, and its first body."""
    words = ["curl"]
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
    for media, content in operation.get("requestBody", {"content": {}})["content"].items():
        value = next(iter(content["examples"].values()))["value"]
        is_text = isinstance(value, str)
        body = value if is_text else json.dumps(value, separators=(",", ":"))
        words += ["-H", f"Content-Type: {media}", "--data-binary" if is_text else "-d", body]
    if method != "GET" and "-H" not in words:
        words += ["-X", method]
    return shlex.join([*words, f"{BASE}{path}"])


def _pretty(value: object) -> str:
    """Show an example: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _parts(text: str) -> list[tuple[str, str]]:
    """Split a text where backticks or double asterisks set something apart: element and words."""
    found = []
    for code, strong, plain in _PARTS.findall(text):
        name, words = ("code", code) if code else ("b", strong) if strong else ("", plain)
        found.append((name, words))
    return found


def _name(schema: Mapping[str, Any]) -> str:
    """Say in a few words what a value is."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(_name(one) for one in schema["anyOf"])
    if "items" in schema:
        return f"list of {_name(schema['items'])}"
    limits = [f"{word} {schema[key]}" for key, word in _LIMITS.items() if key in schema]
    return ", ".join([str(schema.get("format") or schema.get("type", "any")), *limits])


_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "characters at least",
    "maxLength": "characters at most",
}

"""Documents: what a program reads in an exam's file."""

import json
from typing import Any

from filestore.document import to_text
from filestore.exam import Exam


def to_document(exam: Exam) -> dict[str, Any]:
    """Write an exam's document, and read it as JSON."""
    document: dict[str, Any] = json.loads(to_text(exam))
    return document

"""Preferences: what a client would like, and need not get (RFC 7240). Pure."""

import re

PREFER = "Prefer"
APPLIED = "Preference-Applied"
#: Seconds that a request waits at most, whatever it prefers.
LONGEST_WAIT_S = 30
_WAIT = re.compile(r"wait[ \t]*=[ \t]*(?:(\d{1,9})|\"(\d{1,9})\")[ \t]*(?:;.*)?", re.I | re.A)


def wait_s(values: list[str]) -> int:
    """
    Read for how many seconds a client would wait for the effect; 0: not at all.

    What is unknown or malformed is ignored, and of several the first counts, as the RFC has it.
    """
    for preference in ",".join(values).split(","):
        name = preference.split("=")[0].split(";")[0].strip(" \t").lower()
        if name == "wait":
            found = _WAIT.fullmatch(preference.strip(" \t"))
            return min(int(found[1] or found[2]), LONGEST_WAIT_S) if found else 0
    return 0

"""Which exercises a learner has solved, in one small file of their own. Every notebook's `check` notes it.

The file is `my/progress.json` in a checkout and lies in the user's data folder elsewhere. The variable
COURSE_PROGRESS names another file, or is "off". Nothing is noted where notebooks are tested or rendered.
"""

from __future__ import annotations

import contextlib
import json
import os
from datetime import datetime
from pathlib import Path

from course_utils import files


def path() -> Path | None:
    """The learner's file (it need not exist), or None where nothing shall be noted."""
    asked = os.environ.get("COURSE_PROGRESS")
    if asked == "off" or (not asked and "PYTEST_VERSION" in os.environ):
        return None
    if asked:
        return Path(asked)
    root = Path(__file__).resolve().parents[1]
    if (root / "course.py").is_file():
        return root / "my" / "progress.json"
    import platformdirs

    return Path(platformdirs.user_data_dir("course_utils"), "progress.json")


def solved() -> dict[str, str]:
    """Id of each exercise solved -> when that was first so ("2026-01-31T18:05"); empty if unreadable."""
    place = path()
    try:
        found = json.loads(place.read_text(encoding="utf-8"))["solved"] if place else {}
        return {str(id): str(when) for id, when in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def note(id: str) -> None:
    """Note that an exercise ("03.2") is solved. Never raises: a full disk must not disturb a check."""
    with contextlib.suppress(Exception):
        place = path()
        if place is None or id in solved():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        with files.lock(place.with_name(f".{place.name}.lock")):  # two notebooks may be open
            found = {**solved(), id: datetime.now().isoformat(timespec="minutes")}
            with files.replacing(place, text=True) as out:
                json.dump({"solved": dict(sorted(found.items()))}, out, indent=1)
                out.write("\n")

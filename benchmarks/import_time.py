"""How long `import course_utils` takes (below 0.2 s), beside an empty Python and the framework."""

import subprocess
import sys
from collections.abc import Callable

from benchmarks.harness import Bench


def starting(program: str) -> Callable[[str], Callable[[], object]]:
    """A way that starts a fresh Python; the way `python` shows what that alone takes."""
    command = [sys.executable, "-c", program]
    return lambda _: lambda: subprocess.run(command, check=True, capture_output=True)


BENCH = Bench(
    "import_time",
    cases={"fresh process": ""},
    ways={
        "python": starting("pass"),
        "keras": starting("import keras"),
        "ours": starting("import course_utils"),
    },
    framework=False,
)

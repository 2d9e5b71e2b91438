"""A thousand scenes: in worker processes, one for each core, beside the same in one process."""

from collections.abc import Callable

from joblib import cpu_count

from benchmarks.harness import Bench
from course_utils.datasets import scenes


def making(workers: int) -> Callable[[dict[str, int]], Callable[[], object]]:
    """A way with so many processes; the warm-up starts them and reads the photographs."""
    return lambda case: lambda: scenes(**case, seed=0, objects=(1, 3), workers=workers)


BENCH = Bench(
    "scenes",
    cases={
        "1000 pictures 96x96": {"n": 1000, "size": 96},
        "200 pictures 224x224": {"n": 200, "size": 224},
    },
    ways={"one_process": making(1), "ours": making(max(2, cpu_count()))},
    framework=False,
)

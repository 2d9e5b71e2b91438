"""The same work with several seeds, one after the other or side by side."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any


def by_seed(work: Callable[[int], Any], seeds: Sequence[int], workers: int = 1) -> Iterator[tuple[int, Any]]:
    """Do the work with each seed.

    Args:
        work: seed -> what is found; with several workers it can be sent to another process.
        seeds: of the work.
        workers: processes at a time; each starts the framework for itself.

    Yields:
        Seed and what was found, as soon as each is done.
    """
    if workers == 1:
        for seed in seeds:
            yield seed, work(seed)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        started = {pool.submit(work, seed): seed for seed in seeds}
        for each in as_completed(started):
            yield started[each], each.result()


def options(about: str, numbers: dict[str, int]) -> argparse.ArgumentParser:
    """A command line with a number for each setting, how many processes, and which seeds."""
    parser = argparse.ArgumentParser(description=about)
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    parser.add_argument("--workers", type=int, default=1, help="seeds at a time, each a process; default 1")
    parser.add_argument("--seeds", type=int, nargs="+", help="default those of the plan")
    return parser


def typed(module: str, given: argparse.Namespace, numbers: dict[str, int]) -> str:
    """The command with the numbers that differ from the defaults."""
    changed = [
        f"--{name} {getattr(given, name)}" for name in numbers if getattr(given, name) != numbers[name]
    ]
    return " ".join([f"python -m experiments.{module}", *changed])

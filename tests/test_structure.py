"""The plan of the house: arrows between modules and between rooms point one way, inside the package."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("course_utils", "experiments", "tools", "benchmarks")
OUTSIDE = {"experiments", "tools", "benchmarks"}


def dotted(path: Path) -> str:
    """A file's module name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {dotted(path): path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))}


def imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Every module of ours that a file imports, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")
                above = above[: len(above) - node.level + is_package]
                base = ".".join([*above, base]).rstrip(".")
            names = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name in modules() else base for name in names]
        else:
            continue
        yield from (name for name in names if name in modules() and name != module)


@cache
def arrows() -> dict[str, set[str]]:
    found = {}
    for module, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found[module] = set(imported(tree, module, path.name == "__init__.py"))
    return found


def test_backends_are_told_apart_in_two_places() -> None:
    """What TensorFlow, JAX and PyTorch each need of their own."""
    own = {"tensorflow", "jax", "torch"}
    found = set()
    for module, path in modules().items():
        if not module.startswith("course_utils.") or module.startswith("course_utils.training."):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found |= {module for name in names if name.split(".")[0] in own}
    assert found == {"course_utils.networks.gradients"}


def room(module: str) -> str:
    """Where a module lies: a package of `course_utils`, one of its flat modules, or another folder."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "course_utils" else parts[0]


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The first circle of a graph, as names; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_circle_between_modules() -> None:
    """A package's `__init__` only gathers what lies in it, so it does not count."""
    packages = {name for name, path in modules().items() if path.name == "__init__.py"}
    graph = {
        name: {other for other in others if other not in packages}
        for name, others in arrows().items()
        if name not in packages
    }
    assert circle(graph) == []


def test_no_circle_between_rooms() -> None:
    graph: dict[str, set[str]] = {}
    for module, others in arrows().items():
        beyond = {room(other) for other in others} - {room(module), "course_utils"}
        graph.setdefault(room(module), set()).update(beyond)
    assert circle(graph) == []
    assert len(graph) <= 26, sorted(graph)


def test_the_package_needs_nothing_outside_it() -> None:
    for module, others in arrows().items():
        if module.startswith("course_utils"):
            reached = {room(other) for other in others} & OUTSIDE
            assert not reached, f"{module} imports from {reached}"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem[:2])
def test_notebooks_need_nothing_outside_the_package(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        lines = [line for line in "".join(cell["source"]).splitlines() if not line.lstrip().startswith("%")]
        for line in lines:
            first = line.strip().split(" ")
            assert not (first[0] in ("from", "import") and first[1].split(".")[0] in OUTSIDE), line


def test_hints_on_retracing_stay_out_of_notebooks() -> None:
    """TensorFlow sets its logger's level when it is imported: ours has to come after that."""
    import logging

    from course_utils import runtime

    runtime.load_keras()
    assert logging.getLogger("tensorflow").level >= logging.ERROR

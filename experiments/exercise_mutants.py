"""How many small mistakes do the checks of the exercises let through?

    python -m experiments.exercise_mutants [00 01 …]

Each solution that is a function is changed in one place, as a learner might get it wrong: another axis, a
sign, a comparison, a number one off, an absolute value left out. A mutant that the check calls right is
printed, for a person to judge: some compute the same thing.
"""

from __future__ import annotations

import ast
import copy
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from course_utils.exercises import frame

SIGNS: dict[type, type] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Div}
EDGES: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
}
LEFT_OUT = {"abs", "float", "sqrt", "maximum", "minimum", "max", "min", "round", "clip"}


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in place of a node."""
    if isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
        yield ast.BinOp(node.left, SIGNS[type(node.op)](), node.right)
        if isinstance(node.op, ast.Sub | ast.FloorDiv):
            yield ast.BinOp(node.right, node.op, node.left)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in EDGES:
        yield ast.Compare(node.left, [EDGES[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in LEFT_OUT and node.args:
            yield node.args[0]
        for i, word in enumerate(node.keywords):
            if word.arg in ("axis", "keepdims"):
                others = [*node.keywords[:i], *node.keywords[i + 1 :]]
                yield ast.Call(node.func, node.args, others)
    if isinstance(node, ast.Tuple) and len(node.elts) > 1:
        yield ast.Tuple(node.elts[::-1], node.ctx)
        yield ast.Tuple(node.elts[:-1], node.ctx)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield node.operand


def mutants(source: str) -> Iterator[str]:
    """The source with one place changed, each change once."""
    tree = ast.parse(source)
    for i, node in enumerate(ast.walk(tree)):
        for new in changes(node):
            whole = copy.deepcopy(tree)
            target = list(ast.walk(whole))[i]
            for parent in ast.walk(whole):
                for field, value in ast.iter_fields(parent):
                    if value is target:
                        setattr(parent, field, new)
                    elif isinstance(value, list) and any(each is target for each in value):
                        setattr(parent, field, [new if each is target else each for each in value])
            try:
                yield ast.unparse(ast.fix_missing_locations(whole))
            except Exception:  # a change that is no program
                continue


def right_mutants(exercise: frame.Exercise) -> tuple[int, list[str]]:
    """How many mutants there are, and those that the check calls right."""
    module = sys.modules[exercise.solution.__module__]  # type: ignore[union-attr]
    found, count = [], 0
    for source in dict.fromkeys(mutants(exercise.source())):
        space: dict[str, Any] = dict(vars(module))
        try:
            exec(compile(source, "mutant", "exec"), space)
        except Exception:
            continue
        count += 1
        if frame.judge(exercise.id, space[exercise.name]).state == "right":
            found.append(source)
    return count, found


def built_in(exercise: frame.Exercise) -> list[str]:
    """Numbers that may be ignored: with the value of one call built in, the check still says right."""
    assert exercise.inputs is not None and callable(exercise.solution)
    solution, names = exercise.solution, [*inspect.signature(exercise.solution).parameters]
    first = next(iter(exercise.inputs(np.random.default_rng(0))))
    found = []
    for i, value in enumerate(first):

        def ignoring(*given: Any, i: int = i, value: Any = value) -> Any:
            return solution(*given[:i], value, *given[i + 1 :])

        if (
            np.ndim(value) == 0
            and not callable(value)
            and frame.judge(exercise.id, ignoring).state == "right"
        ):
            found.append(names[i])
    return found


def lines(source: str, of: str) -> list[str]:
    """The lines in which a mutant differs."""
    known = ast.unparse(ast.parse(of)).splitlines()
    return [line.strip() for line in source.splitlines() if line not in known]


def main(numbers: list[str]) -> None:
    """Print, for each exercise, the mutants that pass."""
    for number in numbers or frame.notebooks():
        for exercise in frame.exercises(number):
            if not callable(exercise.solution):
                continue
            count, found = right_mutants(exercise)
            print(f"{exercise.id} {exercise.name}: {count} mutants, {len(found)} called right", flush=True)
            for name in built_in(exercise) if exercise.inputs else ():
                print(f"      {name} may be built in")
            for source in found:
                print("    ", *lines(source, exercise.source()), sep="  ", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Options of `course train …` from a recipe: its fields are the settings, its docstring explains them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Container
from dataclasses import Field, fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

PANEL = "Recipe"
ALWAYS = ("recipe", "precision")


def of(recipe: type) -> list[inspect.Parameter]:
    """One option for each field of a recipe, with its type, default and explanation."""
    hints, told = get_type_hints(recipe), explained(recipe)
    return [_option(each, hints[each.name], told.get(each.name, "")) for each in fields(recipe)]


def explained(recipe: type) -> dict[str, str]:
    """What the "Attributes:" of a class and of those above it say, `{name: text}`."""
    found: dict[str, str] = {}
    for each in reversed(recipe.__mro__):
        text = inspect.cleandoc(each.__doc__ or "").partition("Attributes:\n")[2]
        for name, words in re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", text, re.MULTILINE):
            found[name] = " ".join(words.split())
    return found


def _option(each: Field[Any], hint: Any, told: str) -> inspect.Parameter:
    name, default = f"--{each.name.replace('_', '-')}", each.default
    if each.name == "precision":
        default = "auto"  # chosen for this machine when the run starts
    if hint is bool and default:
        name += f"/--no-{name[2:]}"
    elif get_origin(hint) is Literal:  # the recipe says which there are
        hint = str
    elif get_args(hint)[1:] == (...,):  # a tuple of any length is an option that may be repeated
        hint, default = list[get_args(hint)[0]], list(each.default)  # type: ignore
    told = told[:1].upper() + told[1:]
    annotation = Annotated[hint, typer.Option(name, help=told, rich_help_panel=PANEL)]
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(each.name, kind, default=default, annotation=annotation)


def settings(recipe: type, given: dict[str, Any], typed: Container[str] = ()) -> Any:
    """The recipe with the settings that were given, which are taken out of `given`.

    Args:
        typed: the names of those that somebody typed. A recipe that others start from (`Recipe.named`) is
            changed by these alone.
    """
    values = {each.name: given.pop(each.name) for each in fields(recipe)}
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    if (named := getattr(recipe, "named", None)) and values["recipe"] != recipe().recipe:
        return named(**{name: v for name, v in values.items() if name in ALWAYS or name in typed})
    return recipe(**values)


def with_parameters(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> Callable[..., Any]:
    """Let typer see these parameters of a function that takes `**given`."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {each.name: each.annotation for each in parameters}
    return function

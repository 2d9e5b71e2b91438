"""`course bench`: measure a routine beside what a reader would otherwise write or use."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add `course bench`."""
    app.command("bench")(bench)


def bench(
    name: Annotated[str | None, typer.Argument(help="Which one; without it, all recorded figures.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")] = False,
    case: Annotated[list[str] | None, typer.Option(help="Only this case; can be repeated.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Timed runs of each way.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Slow ways and other libraries as well.")] = False,
) -> None:
    """Time and memory of a heavy routine beside the usual way to write it, in one run.

    Each way works in a process of its own, the ways take turns, the median counts.
    Recorded in benchmarks/results/, unless --case or --repeats is given.
    """
    from rich.console import Console

    from benchmarks import harness

    notes = Console(stderr=True, highlight=False)
    if name is None:
        _list(as_json)
        return
    with notes.status(f"bench {name}") as status:
        path = harness.FOLDER / f"{name}.py"
        rows = harness.run(path, case, repeats, say=lambda line: status.update(line), full=full)
    if not case and not repeats:
        path = harness.record(name, rows)
        notes.print(f"Recorded in {path}")
    if as_json:
        print(json.dumps({"bench": name, "rows": rows}))
    else:
        Console().print(_table(name, rows))


def _list(as_json: bool) -> None:
    """What benches there are, with the rows recorded last."""
    from rich.console import Console

    from benchmarks import harness

    recorded: dict[str, list[dict[str, Any]]] = {}
    for name in harness.names():
        path = harness.FOLDER / "results" / f"{name}.json"
        recorded[name] = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
    if as_json:
        print(json.dumps([{"bench": name, "rows": rows} for name, rows in recorded.items()]))
        return
    for name, rows in recorded.items():
        Console().print(_table(name, rows) if rows else f"{name}: not recorded yet")


def _table(name: str, rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table("case", "way", "seconds", "peak MB", "ratio", title=f"bench {name}", title_justify="left")
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:g} x"
        table.add_row(row["case"], row["way"], f"{row['seconds']:g}", f"{row['peak_mb']:g}", ratio)
    return table

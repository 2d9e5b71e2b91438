"""Commands as they are printed: README, docs, CONTRIBUTING and notebooks say what the program takes."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from course_utils.cli import build

ROOT = Path(__file__).parents[1]
COMMAND = re.compile(r"^(?:python3 course\.py|py course\.py|course)(?: (.*))?$")
# Words that stand for something of the reader's, and what is put in their place to see whether it fits.
EXAMPLES = {
    "NN": "03",
    "NAME": "fcn",
    "…": "",
    "N": "1",
    "PATH": "README.md",
    "DIR": "docs",
    "LAYER": "block3_conv1",
}


def pages() -> dict[str, str]:
    """Every text in which commands are printed, by its name."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    texts = {path.name: path.read_text(encoding="utf-8") for path in found}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts[path.name] = "\n\n".join(
            "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
        )
    return texts


def printed(text: str) -> list[str]:
    """The commands in a text: in backticks, and the lines of its code blocks."""
    blocks = re.findall(r"```(?:bash|sh|console)?\n(.*?)```", text, re.DOTALL)
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in re.sub(r"\\\n\s*", " ", block).splitlines()]
    lines = [re.sub(r"^> ?", "", line) for line in lines] + re.findall(r"`([^`\n]+)`", text)
    return [re.sub(r"\s+#.*$", "", line).strip() for line in lines]


def fault(line: str, app: Any) -> str | None:
    """What is wrong with a command of the course, or None. Nothing is run: its words are only parsed."""
    words = [EXAMPLES.get(word.strip("[]"), word.replace("…", "")) for word in shlex.split(line)]
    words = [word for word in words if word]
    if words[:1] == ["train"] and not words[1:]:
        words.append("fcn")  # "course train … --ship": whichever
    elif words[:1] == ["train"] and words[1].startswith("-"):
        words.insert(1, "fcn")
    if not words or words == ["--help"] or words[0] == "exec":
        return None
    command, rest = app, words
    while hasattr(command, "get_command") and rest and not rest[0].startswith("-"):
        if (inner := command.get_command(None, rest[0])) is None:
            return f"there is no command {' '.join(words[: len(words) - len(rest) + 1])!r}"
        command, rest = inner, rest[1:]
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    if command.context_settings.get("ignore_unknown_options"):
        return None
    odd = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in {*known, "--help"}]
    return f"{words[0]} has no option {', '.join(odd)}" if odd else None


@pytest.fixture(scope="module")
def app() -> Any:
    return typer.main.get_command(build())


@pytest.mark.parametrize("name", sorted(pages()))
def test_commands_are_there(name: str, app: Any) -> None:
    faults = []
    for line in printed(pages()[name]):
        found = COMMAND.match(line)
        if found and (wrong := fault(found[1] or "", app)):
            faults.append(f"{line}: {wrong}")
    assert not faults


QUICK = re.compile(r"(?:fetch|progress|(?:quiz|slides|solutions) \d\d)$")
READ = sorted(
    {m[1] for text in pages().values() for line in printed(text) if (m := COMMAND.match(line)) and m[1]}
)


@pytest.mark.parametrize("words", [words for words in READ if QUICK.match(words)])
def test_quick_commands_run_as_printed(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(build(), shlex.split(words))
    assert result.exit_code == 0 and result.output, words


def test_a_wrong_command_is_noticed(app: Any) -> None:
    assert fault("trian fcn", app) == "there is no command 'trian'"
    assert fault("train fnc", app) == "there is no command 'train fnc'"
    assert fault("segment a.png --wieghts b.npz", app) == "segment has no option --wieghts"
    assert fault("segment a.png --weights b.npz", app) is None


def test_scripts_and_extras_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for name, text in pages().items():
        for line in printed(text):
            script = re.match(r"python3? (\S+\.py)\b", line)
            assert not script or (ROOT / script[1]).is_file(), (name, line)
            module = re.match(r"python3? -m (experiments|tools|benchmarks)\.(\w+)", line)
            assert not module or (ROOT / module[1] / f"{module[2]}.py").is_file(), (name, line)
            for extra in re.findall(r'pip install -e "?\.\[([a-z,]+)\]', line):
                assert set(extra.split(",")) <= set(project["project"]["optional-dependencies"]), (name, line)
            for group in re.findall(r"pip install --group (\w+)", line):
                assert group in project["dependency-groups"], (name, line)

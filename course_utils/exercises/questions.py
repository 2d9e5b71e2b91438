"""Five questions at the end of each notebook, answered with a word of five letters: `quiz("03", "bd..a")`.

The questions lie in `quizzes/NN.toml`. Each choice has its own explanation, because a wrong choice is a wrong
idea, and ideas differ. `course quiz NN` prints them for a class.
"""

from __future__ import annotations

import html
import tomllib
from dataclasses import dataclass
from pathlib import Path

from course_utils.exercises import showing

FOLDER = Path(__file__).parent / "quizzes"
LETTERS = "abcd"


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        ask: what is asked.
        choices: letter -> (the choice, what is said to who chooses it).
        right: letter of the right choice.
    """

    ask: str
    choices: dict[str, tuple[str, str]]
    right: str


def questions(notebook: str) -> tuple[Question, ...]:
    """The questions of one notebook ("03"); empty where there are none."""
    path = FOLDER / f"{notebook}.toml"
    if not path.is_file():
        return ()
    found = tomllib.loads(path.read_text(encoding="utf-8"))["question"]
    return tuple(
        Question(each["ask"], {letter: tuple(each[letter]) for letter in LETTERS}, each["right"])
        for each in found
    )


def quiz(notebook: str, answers: object = "") -> None:
    """Ask a notebook's five questions, or say what is to be said of the answers. Never raises.

    Args:
        notebook: its number, such as "03".
        answers: one letter for each question, in order; a dot for one that you leave open.
    """
    asked = questions(str(notebook))
    if not asked:
        showing.show_text(f'There is no quiz {notebook!r}: a notebook has a number like "03".')
        return
    letters = str(answers).strip().lower() if isinstance(answers, str) else "?"
    fault = fault_of(letters, len(asked))
    if fault:
        showing.show_text(fault, "wrong")
        return
    if not letters.strip("."):
        showing.show_page(page(asked), text(asked))
        return
    for number, (question, letter) in enumerate(zip(asked, letters, strict=True), 1):
        if letter != ".":
            right = letter == question.right
            said = f"{number}{letter} {'Right. ' if right else ''}{question.choices[letter][1]}"
            showing.show_text(said, "right" if right else "wrong")


def fault_of(letters: str, count: int) -> str:
    """What is wrong with the form of an answer, or nothing."""
    if letters and (len(letters) != count or set(letters) - {*LETTERS, "."}):
        return (
            f'Answer with {count} letters from a to d in quotes, one a question, such as "{"a" * count}"; '
            "a dot leaves one open."
        )
    return ""


def text(asked: tuple[Question, ...]) -> str:
    """The questions as plain text."""
    blocks = []
    for number, question in enumerate(asked, 1):
        lines = [f"  {letter}) {choice}" for letter, (choice, _) in question.choices.items()]
        blocks.append("\n".join([f"{number}. {question.ask}", *lines]))
    return "\n\n".join(blocks)


def page(asked: tuple[Question, ...]) -> str:
    """The questions as HTML."""
    blocks = []
    for question in asked:
        choices = "".join(f"<li>{html.escape(choice)}</li>" for choice, _ in question.choices.values())
        blocks.append(
            f'<li style="margin-bottom: 12px">{html.escape(question.ask)}'
            f'<ol type="a" style="margin-top: 4px">{choices}</ol></li>'
        )
    return f"<ol>{''.join(blocks)}</ol>"


def key(asked: tuple[Question, ...]) -> str:
    """The answers with what is said to each choice, as HTML: a teacher's page."""
    blocks = []
    for question in asked:
        said = "".join(
            f"<li>{'<b>' if letter == question.right else ''}{html.escape(why)}"
            f"{'</b>' if letter == question.right else ''}</li>"
            for letter, (_, why) in question.choices.items()
        )
        blocks.append(f'<li>{html.escape(question.ask)} <b>{question.right}</b><ol type="a">{said}</ol></li>')
    return f"<ol>{''.join(blocks)}</ol>"

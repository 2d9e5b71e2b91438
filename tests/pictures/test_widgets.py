"""Sliders: the static twin always, the controls in a notebook, drawn anew when a handle moves."""

from __future__ import annotations

from typing import Any

import ipywidgets
import pytest

from course_utils.pictures import widgets


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is displayed while the code believes that it runs in a notebook."""
    import IPython.display

    shown: list[dict[str, Any]] = []

    def display(data: Any, **_: Any) -> None:
        shown.append(data)

    monkeypatch.setattr(widgets, "in_notebook", lambda: True)
    monkeypatch.setattr(IPython.display, "display", display)
    return shown


def widget(shown: list[dict[str, Any]]) -> Any:
    """The box behind the one displayed view."""
    [data] = shown
    view = data["application/vnd.jupyter.widget-view+json"]
    return boxes[view["model_id"]]


boxes: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def remember_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    original = ipywidgets.VBox

    def box(*arguments: Any, **named: Any) -> Any:
        made = original(*arguments, **named)
        boxes[made.model_id] = made
        return made

    monkeypatch.setattr(ipywidgets, "VBox", box)


def test_outside_a_notebook_only_the_static_figure_is_drawn() -> None:
    drawn: list[Any] = []
    widgets.slider(drawn.append, lambda: drawn.append("static"), value=(0, 8))
    assert drawn == ["static"]
    widgets.slider(lambda **values: drawn.append(values), {"value": 3}, value=(0, 8))
    assert drawn == ["static", {"value": 3}]
    widgets.slider(drawn.append, None, value=(0, 8))
    assert len(drawn) == 2


def test_in_a_notebook_the_static_figure_comes_first_and_then_the_controls(displayed: list[Any]) -> None:
    drawn: list[Any] = []
    widgets.slider(lambda **v: drawn.append(v), lambda: drawn.append("static"), place=(0, 8), kind=["a", "b"])
    assert drawn == ["static", {"place": 4, "kind": "a"}]
    place, kind, _ = widget(displayed).children
    place.value = 5
    kind.value = "b"
    assert drawn[2:] == [{"place": 5, "kind": "a"}, {"place": 5, "kind": "b"}]
    assert place.continuous_update is False


def test_controls_start_at_the_static_values(displayed: list[Any]) -> None:
    drawn: list[Any] = []
    widgets.slider(
        lambda **values: drawn.append(values), {"scale": 0.5, "on": False}, scale=(0.0, 1.0), on=True
    )
    assert drawn == [{"scale": 0.5, "on": False}] * 2


def test_a_saved_notebook_says_what_stood_there(displayed: list[Any]) -> None:
    widgets.slider(lambda value: None, None, value=(0, 8))
    [data] = displayed
    assert "slider" in data["text/html"]
    assert "slider" in data["text/plain"]


@pytest.mark.parametrize(
    ("spec", "kind", "start"),
    [
        ((2, 8), ipywidgets.IntSlider, 5),
        ((0, 10, 5), ipywidgets.IntSlider, 5),
        ((0.0, 1.0), ipywidgets.FloatSlider, 0.5),
        ((0, 1, 0.25), ipywidgets.FloatSlider, 0.5),
        (["x", "y"], ipywidgets.Dropdown, "x"),
        ({"one": 1, "two": 2}, ipywidgets.Dropdown, 1),
        (True, ipywidgets.Checkbox, True),
    ],
)
def test_kinds_of_control(spec: Any, kind: type, start: Any) -> None:
    made = widgets.control("a_name", spec)
    assert isinstance(made, kind)
    assert made.value == start
    assert made.description == "a name"
    assert getattr(made, "continuous_update", False) is False


def test_a_widget_of_ones_own_is_taken_as_it_is() -> None:
    own = ipywidgets.Text()
    assert widgets.control("text", own) is own


@pytest.mark.parametrize("spec", [(1,), (1, 2, 3, 4), ("a", "b"), [], {}, 3, None, "text"])
def test_other_controls_are_refused(spec: Any) -> None:
    with pytest.raises(ValueError, match="control place="):
        widgets.control("place", spec)

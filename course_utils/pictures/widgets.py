"""Sliders that redraw a figure, each beside a static twin that needs no kernel. All notebooks.

`interactive_output` with `continuous_update=False`: the figure is drawn when the handle is let go. The same
code runs on ipywidgets 7.7 (Colab) and 8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from course_utils.pictures.plots import in_notebook

NOTE = "<em>Here stands a slider while the notebook runs.</em>"


def slider(
    draw: Callable[..., Any], static: Callable[[], Any] | dict[str, Any] | None, **controls: Any
) -> None:
    """Show a static figure, and under it the same drawing with controls to move.

    Args:
        draw: `draw(**values)` displays one figure (through `course_utils.plots`).
        static: the twin that is always shown: a function that displays it, a dict of values to draw with, or
            None where the cell above shows it already.
        controls: one for each argument of `draw`: `(low, high)` or `(low, high, step)` of int or float, a
            list or dict of choices, True/False, or a widget of your own.

    Outside a notebook only the static figure is drawn.
    """
    if isinstance(static, dict):
        draw(**static)
    elif static is not None:
        static()
    if not in_notebook():
        return
    import ipywidgets
    from IPython.display import display

    start = static if isinstance(static, dict) else {}
    handles = {name: control(name, spec, start.get(name)) for name, spec in controls.items()}
    output = ipywidgets.interactive_output(draw, handles)
    box = ipywidgets.VBox([*handles.values(), output])
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    # Displayed as a bundle of our own, so that a saved notebook says what stood here.
    plain = "Here stands a slider while the notebook runs."
    display(
        {"application/vnd.jupyter.widget-view+json": view, "text/html": NOTE, "text/plain": plain}, raw=True
    )


def control(name: str, spec: Any, value: Any = None) -> Any:
    """The ipywidget for one control of `slider`; underscores in its name are shown as spaces.

    Without a value a number starts in the middle: of a picture, that is seldom an empty corner.

    Raises:
        ValueError: for a specification that is none of those which `slider` lists.
    """
    import ipywidgets

    look = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if isinstance(spec, ipywidgets.Widget):
        return spec
    if isinstance(spec, bool):
        return ipywidgets.Checkbox(value=spec if value is None else value, **look)
    if isinstance(spec, tuple) and len(spec) in (2, 3) and all(isinstance(v, (int, float)) for v in spec):
        whole = all(isinstance(v, int) for v in spec)
        kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
        step = spec[2] if len(spec) == 3 else (1 if whole else (spec[1] - spec[0]) / 50)
        middle = spec[0] + round((spec[1] - spec[0]) / step / 2) * step
        at = middle if value is None else value
        return kind(value=at, min=spec[0], max=spec[1], step=step, continuous_update=False, **look)
    if isinstance(spec, (list, dict)) and len(spec):
        options = list(spec.items()) if isinstance(spec, dict) else [(str(each), each) for each in spec]
        return ipywidgets.Dropdown(options=options, value=options[0][1] if value is None else value, **look)
    raise ValueError(
        f"control {name}={spec!r}: give (low, high), (low, high, step), a list, a dict or a bool"
    )


def upload() -> Any:
    """A button that takes a picture from your computer: `my_photo = widgets.upload()`, show it, press it.

    `images.read(my_photo)` reads what was chosen; before that it says that nothing was.
    """
    import ipywidgets

    return ipywidgets.FileUpload(accept="image/*", multiple=False, description="A picture")

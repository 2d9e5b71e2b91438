"""`course train`: train a network of the course, with checkpoints, on one's own machine.

Each command is a function below: it takes a recipe and what the pictures are, and returns a `Trainer`. The
options of the recipe come from its fields. Commands are built when they are asked for, because recipes take
a second to import.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import shlex
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from course_utils.cli import _outputs, _recipe_options

if TYPE_CHECKING:
    from course_utils.training import Trainer

Labels = Annotated[
    str,
    typer.Option(
        "--drawn", help="Labels of photographs that EXIF turns lie on the picture as: shown, or stored."
    ),
]
Data = Annotated[Path, typer.Option(help="Folder with the pictures.", exists=True, file_okay=False)]


def vgg16(recipe: Any, data: Data) -> Trainer:
    """The course's own VGG-16: half width, 200 classes of ImageNet, from 32x32 thumbnails.

    --data holds tiny_imagenet_32.npz (x_train, y_train, x_val, y_val, wnids; uint8 RGB). An epoch
    takes one to four minutes on two cores with AMX; with the default length, a bit over an hour.
    """
    from course_utils.training.vgg16 import Vgg16

    return Vgg16(recipe, data)


def allcnn(
    recipe: Any,
    data: Annotated[Path | None, typer.Option(help="Folder with CIFAR-10's binary files.")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the network for Keras, too: a file .keras or .h5.")
    ] = None,
    overwrite: _outputs.Overwrite = False,
    devices: Annotated[int, typer.Option(min=1, help="So many GPUs, or shares of the CPU.")] = 1,
    hosts: Annotated[str, typer.Option(help="HOST:PORT of every process, with commas.")] = "",
    host: Annotated[int, typer.Option(min=0, help="Which of --hosts this one is, from 0.")] = 0,
) -> Trainer:
    """The all convolutional net on CIFAR-10, or one of the networks it is compared with.

    --recipe short made what ships; paper is Springenberg's, 350 epochs; matelabs is what Mate Labs' program
    of 2017 does. What is typed beside it changes it. Without --hold-out it trains on all 50,000 pictures and
    looks at the test pictures once, at the end; with it, best.npz is the best epoch on those held out.
    With --devices or --hosts each batch is shared; docs/devices.md says how.
    """
    from course_utils.training.all_cnn import AllCnn

    if save:
        save = _outputs.file(save, suffixes=(".keras", ".h5"), overwrite=overwrite, option="--save")

    addresses = [word.strip() for word in hosts.split(",") if word.strip()]
    if recipe.precision == "auto" and (devices > 1 or addresses):
        recipe = replace(recipe, precision="float32")  # what all of them have
    return AllCnn(recipe, data, save=save, devices=devices, hosts=addresses, host=host)


def classifier(
    recipe: Any,
    images: Annotated[
        Path, typer.Option(help="Folder with a folder of pictures for each class.", file_okay=False)
    ],
) -> Trainer:
    """A small classifier of your own pictures on the original VGG-16: folders are classes.

    `course cutouts` makes such folders from outlines. The convolutions stay as they are, and their maps are
    computed once, a tenth of a second a picture. Beside weights.npz lies classifier.keras, the whole network,
    which `course convert` makes convolutional.
    """
    from course_utils.training.classifier import Classifier

    return Classifier(recipe, images)


def fcn(
    recipe: Any,
    images: Annotated[Path | None, typer.Option(help="Folder with pictures.")] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder with their masks, PNGs of the same names.")
    ] = None,
    val_images: Annotated[
        Path | None, typer.Option(help="Pictures to judge by; else some are kept out.")
    ] = None,
    val_masks: Annotated[Path | None, typer.Option(help="Their masks.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Or a folder with train, trainannot, val and valannot.")
    ] = None,
    voc: Annotated[
        Path | None, typer.Option(help="Or PASCAL VOC as it comes, such as VOCdevkit/VOC2012.")
    ] = None,
    split: Annotated[
        str, typer.Option("--set", help="With --voc, the list to learn from: train, trainval or val.")
    ] = "train",
    classes: Annotated[str, typer.Option(help="Names, one a line in a file, or with commas.")] = "",
    ignore: Annotated[list[int] | None, typer.Option(help="A label that is not judged, besides 255.")] = None,
    size: Annotated[str, typer.Option(help="Resize all to N or HEIGHTxWIDTH pixels.")] = "",
    drawn: Labels = "",
    name: Annotated[str, typer.Option(help="Of the weights and the record; default fcn8s and so on.")] = "",
    terms: Annotated[str, typer.Option(help="What the pictures are, and their terms, for the card.")] = "",
) -> Trainer:
    """A fully convolutional network on your own pictures and masks; without any, on scenes.

    A mask is a grey or palette PNG whose pixels are class numbers; 255 is not judged.
    """
    from course_utils.training.fcn import Fcn, from_folders, from_scenes, from_voc

    given, judged = folders(images, masks, val_images, val_masks, data)
    if voc and (given or classes or ignore or drawn):
        raise ValueError("--voc brings pictures, masks and classes with it: give it alone")
    if voc:
        side = pixels(size) or 256
        samples = from_voc(voc, split, (side, side) if isinstance(side, int) else side, recipe.seed)
    elif given is None:
        samples = from_scenes(seed=recipe.seed)
    else:
        called = data.name if data else ""
        options: Any = {"ignore": ignore or (), "size": pixels(size), "seed": recipe.seed, "name": called}
        options |= {"class_names": class_list(classes), "drawn": way_up(drawn)}
        samples = from_folders(given, judged, **options)
    x, y = len(samples.train[0]), len(samples.validation[0])
    typer.echo(f"{x} pictures to train, {y} to judge by, {len(samples.class_names)} classes")
    return Fcn(recipe, samples, name=name, terms=terms)


def scenes_dense(recipe: Any) -> Trainer:
    """A small Flatten and Dense classifier of scenes on the original VGG-16, to be made convolutional."""
    from course_utils.training.scenes_dense import ScenesDense

    return ScenesDense(recipe)


def streets(
    recipe: Any,
    data: Data,
    maps: Annotated[Path, typer.Option(help="Folder that keeps the maps, 1 GB a pass.")] = Path(
        "out/streets_maps"
    ),
) -> Trainer:
    """The head that labels street scenes, on the original VGG-16.

    --data holds CamVid as train, trainannot, val and valannot. The maps of a few views of each picture are
    computed once, a second a picture on two cores.
    """
    from course_utils.training.streets import Streets

    return Streets(recipe, data, maps)


def localizer(
    recipe: Any,
    data: Data,
    csv: Annotated[
        Path | None,
        typer.Option(help="Table of boxes: class, file and corners, or with a header.", dir_okay=False),
    ] = None,
    drawn: Labels = "",
) -> Trainer:
    """Name and box the one object in a photograph: the course's VGG-16 with two heads, fine-tuned.

    --csv is DIR/boxes.csv unless given. A fifth of every class is kept apart and looked at once, at the end,
    as it is and on canvases: scaled, at a random place, on other backgrounds.
    """
    from course_utils.training.localizer import Localizer

    return Localizer(recipe, data, csv, way_up(drawn))


def boxes(
    recipe: Any,
    data: Data,
    csv: Annotated[
        Path | None,
        typer.Option(help="Table of boxes: class, file and corners, or with a header.", dir_okay=False),
    ] = None,
    drawn: Labels = "",
    maps: Annotated[Path, typer.Option(help="Folder that keeps the maps, 160 MB a pass.")] = Path(
        "out/boxes_maps"
    ),
) -> Trainer:
    """Name and box the one object in a photograph: a head on the original's convolutions.

    --csv is DIR/boxes.csv unless given. The maps of a few views of each photograph are computed once, ten
    views a second on two cores.
    """
    from course_utils.training.boxes import Boxes

    return Boxes(recipe, data, csv, maps, way_up(drawn))


def parts(recipe: Any) -> Trainer:
    """The eleven joints of drawn puppets, on the original VGG-16; `course pose` uses what comes out.

    Two views of each puppet pass through the network once, a quarter of a minute a hundred puppets on two
    cores; then the head is trained.
    """
    from course_utils.training.parts import Parts

    return Parts(recipe)


def names(
    recipe: Any,
    data: Data,
    teacher: Annotated[
        Path, typer.Option(help="Python file: build() returns a Keras model of 1,000 logits.", dir_okay=False)
    ],
) -> Any:
    """A thousand names on the original's convolutions: their average and one dense layer.

    --data holds folders one_a_class, imagenette, mini (WNID.webp in each). What is computed for each crop
    stays in OUT/state: the same command goes on after Ctrl-C. The teacher takes (RGB - 127) / 128.
    """
    from course_utils.training.names import Names

    return Names(recipe, data, teacher)


def colour(recipe: Any, data: Data) -> Trainer:
    """The head that colours grey photographs, on the original VGG-16; --data holds colour photographs.

    Each passes through the network once (a tenth of a second on two cores); of its pixels some are kept in
    --out/samples, 3 kB each, so that a stopped run goes on. Then the head is trained, in minutes.
    """
    from course_utils.training.colours import Colours

    return Colours(recipe, data)


COMMANDS: dict[str, tuple[Callable[..., Trainer], str]] = {  # and the module of its `Recipe`
    "allcnn": (allcnn, "all_cnn"),
    "boxes": (boxes, "boxes"),
    "classifier": (classifier, "classifier"),
    "colour": (colour, "colours"),
    "fcn": (fcn, "fcn"),
    "localizer": (localizer, "localizer"),
    "names": (names, "names"),
    "parts": (parts, "parts"),
    "scenes-dense": (scenes_dense, "scenes_dense"),
    "streets": (streets, "streets"),
    "vgg16": (vgg16, "vgg16"),
}

# --- from a function and a recipe to a command ----------------------------------------------------------


def run(
    trainer: Trainer,
    out: Annotated[Path, typer.Option(help="Folder for weights.npz, card.json, history.csv and state/.")],
    minutes: Annotated[float | None, typer.Option(help="Stop at the end of the epoch after so long.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where --out was left.")] = False,
    ship: Annotated[
        bool, typer.Option("--ship", help="Put the result into data/ (for maintainers).")
    ] = False,
) -> None:
    """Run a trainer; say what came out, or how to go on."""
    try:
        card = trainer.run(out, minutes=minutes, resume=resume, ship=ship)
    except KeyboardInterrupt:
        typer.echo(_stopped(out))
        raise typer.Exit(130) from None
    if not trainer.devices.writes:
        typer.echo(f"Host 0 has written what came out to its {out}.")
    elif card is None:
        typer.echo(_stopped(out))
    else:
        typer.echo(f"{out / 'weights.npz'}  {card['megabytes']} MB  SHA-256 {card['sha256'][:16]}…")
        for name, value in card["metrics"].items():
            if isinstance(value, float):
                typer.echo(f"{name:>28}  {value:.3f}")


def _stopped(out: Path) -> str:
    """What there is after a run that was stopped."""
    kept = [path for path in (out / "state").glob("*") if not path.name.startswith(".")]
    if kept:
        return f"Stopped early. The same command with --resume goes on from {out / 'state'}."
    return "Stopped before anything was kept: the same command begins anew."


class Commands(typer.core.TyperGroup):
    """The commands of `COMMANDS`, each built when it is asked for."""

    def list_commands(self, context: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: Any, name: str) -> Any:
        return _command(name) if name in COMMANDS else None


def _command(name: str) -> Any:
    """The options of a function of `COMMANDS`, of `run` and of the recipe, as one command."""
    prepare, module = COMMANDS[name]
    recipe = importlib.import_module(f"course_utils.training.{module}").Recipe
    data, ways = _parameters(prepare), _parameters(run)
    ways[0] = ways[0].replace(default=Path("out", name.replace("-", "_")))

    def command(context: typer.Context, **given: Any) -> None:
        how = {each.name: given.pop(each.name) for each in ways}
        how["out"] = _outputs.run(how["out"])
        typed_ones = {key for key in given if "DEFAULT" not in str(context.get_parameter_source(key))}
        settings = _recipe_options.settings(recipe, given, typed_ones)
        with _notes():
            trainer = prepare(settings, **given)
            trainer.arguments = typed(data, given)
            run(trainer, **how)

    app = typer.Typer(add_completion=False)
    here = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [here, *data, *ways, *_recipe_options.of(recipe)]
    app.command(name, help=inspect.getdoc(prepare))(_recipe_options.with_parameters(command, parameters))
    return typer.main.get_command(app)


@contextlib.contextmanager
def _notes() -> Iterator[None]:
    """What is wrong with some of the pictures is said in a line each, not as a warning of Python."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: typer.echo(f"note: {message}")
        yield


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """All but the first, which is not typed."""
    hints = get_type_hints(function, localns={"Trainer": object}, include_extras=True)
    _, *others = inspect.signature(function).parameters.values()
    kind = inspect.Parameter.KEYWORD_ONLY
    return [each.replace(kind=kind, annotation=hints[each.name]) for each in others]


UNTOLD = ("maps", "name", "terms", "save", "overwrite", "host", "hosts")
"""What changes no weights, or stands in the recipe."""


def typed(parameters: list[inspect.Parameter], given: dict[str, Any]) -> str:
    """What was given beside the recipe, for a record: without what changes no weights, folders as DIR."""
    words = []
    for each in parameters:
        value, (told,) = given[each.name], each.annotation.__metadata__
        option = told.default if isinstance(told.default, str) else f"--{each.name.replace('_', '-')}"
        if each.name in UNTOLD or value == each.default:
            continue
        for part in value if isinstance(value, list) else [value]:
            words += [option, "DIR" if isinstance(part, Path) else shlex.quote(str(part))]
    return " ".join(words)


def register(app: typer.Typer) -> None:
    """Add `course train …`."""
    told = "Train a network of the course. Ctrl-C at any time; --resume goes on."
    train = typer.Typer(cls=Commands, no_args_is_help=True, help=told)
    train.callback()(lambda: None)
    app.add_typer(train, name="train")


# --- what is typed --------------------------------------------------------------------------------------

Pair = tuple[Path, Path]


def folders(
    images: Path | None,
    masks: Path | None,
    val_images: Path | None,
    val_masks: Path | None,
    data: Path | None,
) -> tuple[Pair | None, Pair | None]:
    """(pictures, masks) to train on, None for scenes; and to judge by, None for some of the former."""
    if (images is None) != (masks is None) or (val_images is None) != (val_masks is None):
        raise ValueError("pictures need masks, and masks pictures: give both folders")
    if data and (images or val_images):
        raise ValueError("give --data, or --images and --masks")
    if data:
        return (data / "train", data / "trainannot"), (data / "val", data / "valannot")
    if val_images and not images:
        raise ValueError("--val-images without --images: there is nothing to train on")
    given = (images, masks) if images and masks else None
    return given, (val_images, val_masks) if val_images and val_masks else None


def way_up(text: str) -> Any:
    """The way up that labels were drawn on: "shown", "stored" or nothing."""
    if text not in ("", "shown", "stored"):
        raise ValueError(f"--drawn {text}: shown or stored, the way up that the labels were drawn on")
    return text


def class_list(text: str) -> list[str] | None:
    """Names from a file, one a line, or from a text with commas; None for an empty text."""
    if not text:
        return None
    if "," in text:
        lines = text.split(",")
    elif Path(text).is_file():
        lines = Path(text).read_text(encoding="utf-8").splitlines()
    else:
        raise FileNotFoundError(f"--classes {text}: no such file, and no names with commas")
    return [line.strip() for line in lines if line.strip()]


def pixels(text: str) -> int | tuple[int, int] | None:
    """A size as it is typed: "96", or "180x240" for height and width."""
    if not text:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() and int(part) for part in parts):
        raise ValueError(f"--size {text}: a number such as 96, or height and width such as 180x240")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))

"""`course train`: train a network of the course, with checkpoints, on one's own machine."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer

train = typer.Typer(
    no_args_is_help=True, help="Train a network of the course. Ctrl-C at any time; --resume goes on."
)

Data = Annotated[Path, typer.Option(help="Folder with the pictures.", exists=True, file_okay=False)]
Out = Annotated[Path, typer.Option(help="Folder for weights.npz, card.json, history.csv and state/.")]
Minutes = Annotated[float | None, typer.Option(help="Stop at the end of the epoch after this long.")]
Seed = Annotated[int, typer.Option(help="Of every random generator.")]
Precision = Annotated[str, typer.Option(help="auto, float32 or mixed_bfloat16.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where --out was left.")]
Ship = Annotated[bool, typer.Option("--ship", help="Put the result into data/ (for maintainers).")]


def register(app: typer.Typer) -> None:
    """Add `course train …`."""
    app.add_typer(train, name="train")


def chosen(precision: str) -> str:
    """The precision that a name stands for on this machine."""
    from course_utils import runtime

    return runtime.best_precision() if precision == "auto" else precision


def report(card: dict | None, out: Path) -> None:
    """Say what came out, or how to go on."""
    if card is None:
        typer.echo(f"Stopped early. The same command with --resume goes on from {out / 'state'}.")
        return
    typer.echo(f"{out / 'weights.npz'}  {card['megabytes']} MB  SHA-256 {card['sha256'][:16]}…")
    for name, value in card["metrics"].items():
        if isinstance(value, float):
            typer.echo(f"{name:>28}  {value:.3f}")


@train.command()
def vgg16(
    data: Data,
    out: Out = Path("out/vgg16"),
    epochs: Annotated[int, typer.Option(help="Length of the run; the schedule fits itself to it.")] = 32,
    minutes: Minutes = None,
    seed: Seed = 0,
    precision: Precision = "auto",
    resume: Resume = False,
    ship: Ship = False,
) -> None:
    """The course's own VGG-16: half width, 200 classes of ImageNet, from 32x32 thumbnails.

    --data holds tiny_imagenet_32.npz (x_train, y_train, x_val, y_val, wnids; uint8 RGB). An epoch
    takes one to four minutes on two cores with AMX; with the default length, a bit over an hour.
    """
    from course_utils.training import vgg16 as recipe

    settings = recipe.Recipe(epochs=epochs, seed=seed, precision=chosen(precision))
    report(recipe.train(data, out, settings, minutes=minutes, resume=resume, ship=ship), out)


@train.command()
def allcnn(
    data: Annotated[Path | None, typer.Option(help="Folder with CIFAR-10's binary files.")] = None,
    out: Out = Path("out/allcnn"),
    variant: Annotated[str, typer.Option(help="all, c, strided or convpool.")] = "all",
    augment: Annotated[str, typer.Option(help="paper (flips, shifts) or none.")] = "paper",
    epochs: Annotated[int, typer.Option(help="Length of the run; the schedule fits itself to it.")] = 60,
    paper: Annotated[
        bool, typer.Option("--paper", help="No batch normalization in training, more dropout.")
    ] = False,
    hold_out: Annotated[bool, typer.Option("--hold-out", help="Keep 5,000 pictures to choose on.")] = False,
    devices: Annotated[int, typer.Option(min=1, help="So many GPUs, or shares of the CPU.")] = 1,
    hosts: Annotated[str, typer.Option(help="HOST:PORT of every process, with commas.")] = "",
    host: Annotated[int, typer.Option(min=0, help="Which of --hosts this one is, from 0.")] = 0,
    minutes: Minutes = None,
    seed: Seed = 0,
    precision: Precision = "auto",
    resume: Resume = False,
    ship: Ship = False,
) -> None:
    """The all convolutional net on CIFAR-10, or one of the networks it is compared with.

    Without --hold-out it trains on all 50,000 pictures and looks at the test pictures once, at the end.
    With --devices or --hosts each batch is shared; docs/devices.md says how.
    """
    from course_utils.training import all_cnn as recipe

    addresses = [word.strip() for word in hosts.split(",") if word.strip()]
    if precision == "auto" and (devices > 1 or addresses):  # to choose would start the framework too early
        precision = "float32"
    settings = recipe.Recipe(
        variant=variant,
        augment=augment,
        epochs=epochs,
        seed=seed,
        everything=not hold_out,
        precision=chosen(precision),
    )
    settings = recipe.as_in_the_paper(settings) if paper else settings
    card = recipe.train(
        data,
        out,
        settings,
        minutes=minutes,
        resume=resume,
        ship=ship,
        devices=devices,
        hosts=addresses,
        host=host,
    )
    if host:
        typer.echo(f"Host 0 has written what came out to its {out}.")
    else:
        report(card, out)


@train.command()
def fcn(
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
    out: Out = Path("out/fcn"),
    variant: Annotated[str, typer.Option(help="32s, 16s or 8s.")] = "8s",
    start: Annotated[
        str, typer.Option(help="weights.npz of a run to go on from, also of a coarser FCN.")
    ] = "",
    backbone: Annotated[str, typer.Option(help="course, imagenet, auto, or a file.")] = "course",
    epochs: Annotated[int, typer.Option(help="Length of the run; the schedule fits itself to it.")] = 80,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 2e-4,
    balance: Annotated[float, typer.Option(min=0, max=1, help="0: pixels count alike; 1: classes do.")] = 0.4,
    zoom: Annotated[float, typer.Option(min=0.25, max=4, help="Enlarge pictures for the network.")] = 1.0,
    pictures: Annotated[int, typer.Option(min=0, help="Train on so many only; 0: all.")] = 0,
    minutes: Minutes = None,
    seed: Seed = 0,
    precision: Precision = "auto",
    name: Annotated[str, typer.Option(help="Of the weights and the record; default fcn8s and so on.")] = "",
    terms: Annotated[str, typer.Option(help="What the pictures are, and their terms, for the card.")] = "",
    resume: Resume = False,
    ship: Ship = False,
) -> None:
    """A fully convolutional network on your own pictures and masks; without any, on scenes.

    A mask is a grey or palette PNG whose pixels are class numbers; 255 is not judged.
    """
    from course_utils.training import fcn as recipe

    given, judged = folders(images, masks, val_images, val_masks, data)
    if voc and (given or classes or ignore):
        raise ValueError("--voc brings pictures, masks and classes with it: give it alone")
    settings = recipe.Recipe(
        variant=variant,  # type: ignore[arg-type]
        backbone=backbone,
        start=start,
        epochs=epochs,
        rate=rate,
        balance=balance,
        zoom=zoom,
        pictures=pictures,
        seed=seed,
        precision=chosen(precision),
    )
    if voc:
        side = pixels(size) or 256
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            samples = recipe.from_voc(voc, split, (side, side) if isinstance(side, int) else side, seed)
        for each in said:
            typer.echo(f"note: {each.message}")
    elif given is None:
        samples = recipe.from_scenes(seed=seed)
    else:
        samples = recipe.from_folders(
            given,
            judged,
            class_names=class_list(classes),
            ignore=ignore or (),
            size=pixels(size),
            seed=seed,
            name=data.name if data else "",
        )
    x, y = len(samples.train[0]), len(samples.validation[0])
    typer.echo(f"{x} pictures to train, {y} to judge by, {len(samples.class_names)} classes")
    options = {"name": name, "terms": terms, "minutes": minutes, "resume": resume, "ship": ship}
    report(recipe.train(samples, out, settings, **options, command=typed()), out)  # type: ignore[arg-type]


@train.command("dense-head")
def dense_head(
    out: Out = Path("out/dense_head"),
    epochs: Annotated[int, typer.Option(help="Length of the run; the schedule fits itself to it.")] = 30,
    minutes: Minutes = None,
    seed: Seed = 0,
    precision: Precision = "auto",
    resume: Resume = False,
    ship: Ship = False,
) -> None:
    """A small Flatten and Dense classifier of scenes on the course's VGG-16, to be made convolutional."""
    from course_utils.training import dense_head as recipe

    settings = recipe.Recipe(epochs=epochs, seed=seed, precision=chosen(precision))
    report(recipe.train(out, settings, minutes=minutes, resume=resume, ship=ship), out)


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


ONLY_HERE = ("--out", "--terms", "--minutes", "--name", "--resume", "--ship")


def typed() -> str:
    """The command as it was typed, for a record: without what changes no weights, absolute paths as DIR."""
    import shlex
    import sys

    words = ["DIR" if Path(word).is_absolute() else shlex.quote(word) for word in sys.argv[1:]]
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if word not in ONLY_HERE and (before not in ONLY_HERE or before in ("--resume", "--ship"))
    ]
    return " ".join(["course", *kept])


@train.command()
def localizer(
    data: Data,
    csv: Annotated[
        Path | None,
        typer.Option(help="Table of boxes: class, file and corners, or with a header.", dir_okay=False),
    ] = None,
    out: Out = Path("out/localizer"),
    epochs: Annotated[int, typer.Option(help="Length of the run; the schedule fits itself to it.")] = 60,
    loss: Annotated[str, typer.Option(help="Of the box: l2, smooth_l1, iou or iou_l1.")] = "iou_l1",
    head: Annotated[
        str, typer.Option(help="Behind the last convolution, or behind a dense layer.")
    ] = "dense",
    per_class: Annotated[bool, typer.Option("--per-class", help="One box for each class.")] = False,
    hold_out: Annotated[bool, typer.Option("--hold-out", help="Keep a tenth to choose settings on.")] = False,
    minutes: Minutes = None,
    seed: Seed = 0,
    precision: Precision = "auto",
    resume: Resume = False,
    ship: Ship = False,
) -> None:
    """Name and box the one object in a photograph: the course's VGG-16 with two heads, fine-tuned.

    --csv is DIR/boxes.csv unless given. A fifth of every class is kept apart and looked at once, at the end,
    as it is and on canvases: scaled, at a random place, on other backgrounds.
    """
    from course_utils.training import localizer as recipe

    settings = recipe.Recipe(
        epochs=epochs,
        loss=loss,
        head=head,
        per_class=per_class,
        everything=not hold_out,
        seed=seed,
        precision=chosen(precision),
    )
    report(recipe.train(data, out, settings, csv_file=csv, minutes=minutes, resume=resume, ship=ship), out)

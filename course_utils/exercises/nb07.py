"""Exercises of notebook 07, neural style: Gram matrices, the losses, total variation, colours."""

from __future__ import annotations

from typing import Any

import numpy as np

from course_utils.exercises.frame import Exercise, array, call, expect, match, number

# --- 07.1 ----------------------------------------------------------------------------------------------


def content_loss(own, target):
    return 0.5 * ((own - target) ** 2).sum()


def check_content_loss(answer: Any) -> None:
    rng = np.random.default_rng(3)
    own, target = rng.normal(1, 2, (3, 4, 5)), rng.normal(0, 1, (3, 4, 5))
    given = number(call(answer, own, target), "The loss")
    gap = own - target
    mistakes = {
        "The sum of squares is right; the paper takes half of it, and the gradient becomes plain F - P.": (
            (gap**2).sum()
        ),
        "That is a mean. The paper sums, so a larger picture has a larger loss.": (gap**2).mean(),
        "Half of a mean. The paper sums, so a larger picture has a larger loss.": (gap**2).mean() / 2,
        "Those are absolute differences: large ones should count more than that. Square them.": np.abs(
            gap
        ).sum(),
        "Half of the absolute differences: square them instead.": np.abs(gap).sum() / 2,
        "Differences of both signs cancel here: square each before you sum.": gap.sum() / 2,
        "You sum first and square then: differences of both signs have cancelled.": gap.sum() ** 2 / 2,
        "That is the length of the difference: leave out the square root, and take half.": np.sqrt(
            (gap**2).sum()
        ),
    }
    otherwise = (
        f"{given:.2f} for maps that differ by {np.abs(gap).mean():.2f} on average; it should be {{:.2f}}."
    )
    match(given, content_loss(own, target), mistakes, otherwise.format(content_loss(own, target)))


CONTENT_LOSS = Exercise(
    id="07.1",
    title="the content loss",
    name="content_loss",
    hint="Subtract, square, sum over everything, halve (equation 1 of the paper).",
    after="Its gradient is F - P wherever a map is active: the pull back towards the photograph.",
    check=check_content_loss,
    solution=content_loss,
    wrong=lambda: {
        "the paper takes half": lambda own, target: ((own - target) ** 2).sum(),
        "That is a mean": lambda own, target: ((own - target) ** 2).mean(),
        "Half of a mean": lambda own, target: ((own - target) ** 2).mean() / 2,
        "absolute differences: large": lambda own, target: np.abs(own - target).sum(),
        "Half of the absolute": lambda own, target: np.abs(own - target).sum() / 2,
        "cancel here": lambda own, target: (own - target).sum() / 2,
        "You sum first": lambda own, target: (own - target).sum() ** 2 / 2,
        "leave out the square root": lambda own, target: np.linalg.norm(own - target),
        "it should be": lambda own, target: 0.5 * (own**2).sum(),
        "should be one number": lambda own, target: 0.5 * (own - target) ** 2,
    },
    right=lambda: [
        lambda own, target: np.linalg.norm(own - target) ** 2 / 2,
        lambda own, target: np.vdot(own - target, own - target) / 2,
    ],
)

# --- 07.2 ----------------------------------------------------------------------------------------------


def check_entries(answer: Any) -> None:
    given = number(answer, "The count")
    mistakes = {
        "4096 is the whole matrix. Entry (3, 5) and entry (5, 3) are the same number: count it once.": 4096,
        "2016 are the pairs of two different maps. A map also goes with itself: the diagonal.": 2016,
        "2048 is half of 4096, but the diagonal has no twin on the other side: half of it was lost.": 2048,
        "64 is the diagonal alone. What about map 3 with map 5?": 64,
        "50,176 is the number of places. The Gram matrix adds them up and forgets them.": 224 * 224,
        "That is the number of values in the maps themselves; none of the places are left.": 64 * 224 * 224,
    }
    match(
        given, 2080, mistakes, f"{given:,.0f}? Draw it for 3 maps: 3 on the diagonal, 3 above it, 6 in all."
    )


ENTRIES = Exercise(
    id="07.2",
    title="how many numbers are a style",
    name="entries",
    hint="Count pairs of maps, each pair once, and each map with itself. For 3 maps there are 6.",
    after="64 * 65 / 2. And none of them knows where anything was, or how large the picture is.",
    check=check_entries,
    solution="entries = 64 * (64 + 1) // 2",
    wrong=lambda: {
        "are the same number": 4096,
        "A map also goes with itself": 2016,
        "half of it was lost": 2048,
        "the diagonal alone": 64,
        "forgets them": 224 * 224,
        "values in the maps themselves": 64 * 224 * 224,
        "6 in all": 128,
    },
    right=lambda: [2080, 2080.0, sum(range(65))],
)

# --- 07.3 ----------------------------------------------------------------------------------------------


def gram(maps):
    places = maps.reshape(-1, maps.shape[-1])
    return places.T @ places


def check_gram(answer: Any) -> None:
    maps = np.random.default_rng(7).normal(0.3, 1, (4, 5, 3))
    places = maps.reshape(-1, 3)
    right = places.T @ places
    given = array(call(answer, maps), None, "The result")
    expect(given.shape != (20, 20), "That is 20 x 20: every place with every place. Turn the product around.")
    expect(
        given.shape != (3,), "Three numbers: each map with itself only. The others tell what goes together."
    )
    text = f"The result has shape {given.shape}; three maps give 3 x 3."
    expect(given.shape == (3, 3), text)
    length = np.sqrt(np.diag(right))
    centred = places - places.mean(0)
    mixed = maps.reshape(3, -1)
    mistakes = {
        "Divided by the 20 places: a useful version, but here the plain sum is asked for.": right / 20,
        "The means are subtracted: that is a covariance. Gram matrices keep them.": centred.T @ centred,
        "That is NumPy's covariance, centred and divided. Gram matrices are neither.": np.cov(places.T),
        "Each map is brought to length 1, so how strong it is gets lost.": right / np.outer(length, length),
        "`reshape(3, -1)` mixes the maps: the last axis holds them. Reshape to (places, 3).": mixed @ mixed.T,
        "Only the diagonal is filled: what goes together stands beside it.": np.diag(np.diag(right)),
    }
    otherwise = (
        f"Entry (0, 1) is {given[0, 1]:.3f}; map 0 times map 1, summed over the places, is {right[0, 1]:.3f}."
    )
    match(given, right, mistakes, otherwise)
    wide = np.arange(24.0).reshape(2, 6, 2)
    given = array(call(answer, wide), (2, 2), "For maps of shape (2, 6, 2) the result")
    match(given, gram(wide), {}, "Right for maps of 4 x 5 x 3, but not for 2 x 6 x 2: is a number built in?")


def _gram_by_loops(maps: Any) -> Any:
    count = maps.shape[-1]
    return [[(maps[..., i] * maps[..., j]).sum() for j in range(count)] for i in range(count)]


GRAM = Exercise(
    id="07.3",
    title="the Gram matrix",
    name="gram",
    hint="Reshape to one row for each place and one column for each map. Then one matrix product.",
    after="One reshape, one product. The reshape is where the places are forgotten.",
    check=check_gram,
    solution=gram,
    wrong=lambda: {
        "every place with every place": lambda maps: maps.reshape(-1, 3) @ maps.reshape(-1, 3).T,
        "Three numbers": lambda maps: (maps**2).sum((0, 1)),
        "three maps give 3 x 3": lambda maps: np.tensordot(maps, maps, axes=(0, 0)),
        "Divided by the 20 places": lambda maps: gram(maps) / (maps.shape[0] * maps.shape[1]),
        "that is a covariance": lambda maps: gram(maps - maps.mean((0, 1))),
        "NumPy's covariance": lambda maps: np.cov(maps.reshape(-1, maps.shape[-1]).T),
        "brought to length 1": lambda maps: gram(maps / np.sqrt((maps**2).sum((0, 1)))),
        "mixes the maps": lambda maps: maps.reshape(3, -1) @ maps.reshape(3, -1).T,
        "Only the diagonal": lambda maps: np.diag((maps**2).sum((0, 1))),
        "Entry (0, 1)": lambda maps: np.ones((3, 3)),
        "is a number built in": lambda maps: gram(maps.reshape(4, 5, 3)) if maps.size == 60 else np.eye(2),
    },
    right=lambda: [
        _gram_by_loops,
        lambda maps: np.einsum("hwi,hwj->ij", maps, maps),
        lambda maps: np.tensordot(maps, maps, axes=((0, 1), (0, 1))),
    ],
)

# --- 07.4 ----------------------------------------------------------------------------------------------


def style_loss(own, target, places):
    count = len(own)
    return ((own - target) ** 2).sum() / (4 * count**2 * places**2)


def check_style_loss(answer: Any) -> None:
    rng = np.random.default_rng(5)
    for count, places in ((3, 50), (8, 12)):
        maps = rng.normal(0.5, 1, (2, places, count))
        own, target = (each.T @ each for each in maps)
        given = number(call(answer, own, target, places), "The loss")
        squares = ((own - target) ** 2).sum()
        mistakes = {
            "The sum of squares is right; it still has to be divided by 4 N^2 M^2.": squares,
            "The 4 is missing below.": squares / (count * places) ** 2,
            "N and M are squared below: the matrix has N^2 entries, each a sum over M places, squared.": (
                squares / (4 * count * places)
            ),
            "N, the number of maps, is squared below.": squares / (4 * count * places**2),
            "M, the number of places, is squared below: the difference is, too.": squares
            / (4 * count**2 * places),
            "4 N^2 M^2 belongs below the line: divide.": squares * 4 * count**2 * places**2,
            "That is the mean square: right up to the 4 and the M^2.": squares / count**2,
            "N is the number of maps, not of entries of the matrix: len(own).": (
                squares / (4 * count**4 * places**2)
            ),
        }
        right = style_loss(own, target, places)
        otherwise = f"{given:.4g} for N = {count}, M = {places}; it should be {right:.4g}."
        match(given, right, mistakes, otherwise, within=1e-9)


STYLE_LOSS = Exercise(
    id="07.4",
    title="the style loss of one layer",
    name="style_loss",
    hint="Sum the squared differences of the entries, then divide by 4 N^2 M^2. N is len(own).",
    after="Dividing by M^2 makes small and large pictures comparable; leave it out and see the clinic.",
    check=check_style_loss,
    solution=style_loss,
    wrong=lambda: {
        "still has to be divided": lambda own, target, places: ((own - target) ** 2).sum(),
        "The 4 is missing": lambda own, target, places: 4 * style_loss(own, target, places),
        "N and M are squared below": lambda own, target, places: (
            ((own - target) ** 2).sum() / (4 * len(own) * places)
        ),
        "N, the number of maps, is squared": lambda own, target, places: (
            len(own) * style_loss(own, target, places)
        ),
        "M, the number of places, is squared": lambda own, target, places: (
            places * style_loss(own, target, places)
        ),
        "below the line": lambda own, target, places: (
            ((own - target) ** 2).sum() * 4 * len(own) ** 2 * places**2
        ),
        "the mean square": lambda own, target, places: ((own - target) ** 2).mean(),
        "not of entries": lambda own, target, places: (
            ((own - target) ** 2).sum() / (4 * own.size**2 * places**2)
        ),
        "it should be": lambda own, target, places: (
            np.abs(own - target).sum() / (4 * len(own) ** 2 * places**2)
        ),
    },
    right=lambda: [
        lambda own, target, places: ((own / places - target / places) ** 2).mean() / 4,
        lambda own, target, places: (np.linalg.norm(own - target) / (2 * len(own) * places)) ** 2,
    ],
)

# --- 07.5 ----------------------------------------------------------------------------------------------


def variation(image):
    down = image[1:] - image[:-1]
    across = image[:, 1:] - image[:, :-1]
    return (down**2).sum() + (across**2).sum()


def check_variation(answer: Any) -> None:
    image = np.random.default_rng(11).uniform(0, 9, (4, 6, 3))
    down, across = np.diff(image, axis=0), np.diff(image, axis=1)
    given = number(call(answer, image), "The result")
    wrapped = sum(((image - np.roll(image, 1, axis)) ** 2).sum() for axis in (0, 1))
    both = (down**2).sum() + (across**2).sum()
    mistakes = {
        "Neighbours below each other are counted, those beside each other aren't yet.": (down**2).sum(),
        "Neighbours beside each other are counted, those below each other aren't yet.": (across**2).sum(),
        "The differences are summed without a square: steps up and down cancel.": down.sum() + across.sum(),
        "Those are absolute differences, a variant in use, too; here they are squared.": (
            np.abs(down).sum() + np.abs(across).sum()
        ),
        "The last axis is red, green, blue: those are no neighbours.": both
        + (np.diff(image, axis=2) ** 2).sum(),
        "np.roll makes the left edge a neighbour of the right edge.": wrapped,
        "You square the sum; the sum of squares is asked for.": down.sum() ** 2 + across.sum() ** 2,
        "Means instead of sums: a larger picture would count no more than a small one.": (
            (down**2).mean() + (across**2).mean()
        ),
        "Every pair is counted twice.": 2 * both,
    }
    match(
        given, both, mistakes, f"{given:.1f}; for this little picture it should be {both:.1f}.", within=1e-6
    )


VARIATION = Exercise(
    id="07.5",
    title="total variation",
    name="variation",
    hint="`image[1:] - image[:-1]` are all steps down at once. Do the same across; square and sum both.",
    after="A smooth picture has little of it, noise a great deal: a small weight on it calms a result.",
    check=check_variation,
    solution=variation,
    wrong=lambda: {
        "those beside each other aren't": lambda image: (np.diff(image, axis=0) ** 2).sum(),
        "those below each other aren't": lambda image: (np.diff(image, axis=1) ** 2).sum(),
        "steps up and down cancel": lambda image: np.diff(image, axis=0).sum() + np.diff(image, axis=1).sum(),
        "absolute differences": lambda image: sum(np.abs(np.diff(image, axis=a)).sum() for a in (0, 1)),
        "red, green, blue": lambda image: sum((np.diff(image, axis=a) ** 2).sum() for a in (0, 1, 2)),
        "left edge a neighbour": lambda image: sum(
            ((image - np.roll(image, 1, a)) ** 2).sum() for a in (0, 1)
        ),
        "You square the sum": lambda image: sum(np.diff(image, axis=a).sum() ** 2 for a in (0, 1)),
        "Means instead of sums": lambda image: sum((np.diff(image, axis=a) ** 2).mean() for a in (0, 1)),
        "counted twice": lambda image: 2 * variation(image),
        "it should be": lambda image: image.var(),
    },
    right=lambda: [
        lambda image: sum((np.diff(image, axis=axis) ** 2).sum() for axis in (0, 1)),
        lambda image: sum(
            float(((image[i, j] - image[k, m]) ** 2).sum())
            for i in range(image.shape[0])
            for j in range(image.shape[1])
            for k, m in ((i + 1, j), (i, j + 1))
            if k < image.shape[0] and m < image.shape[1]
        ),
    ],
)

# --- 07.6 ----------------------------------------------------------------------------------------------


def recolour(image, like):
    own, other = image.reshape(-1, 3), like.reshape(-1, 3)
    centred = (image - own.mean(axis=0)) / own.std(axis=0)
    return centred * other.std(axis=0) + other.mean(axis=0)


def check_recolour(answer: Any) -> None:
    rng = np.random.default_rng(2)
    image = rng.normal((90, 120, 150), (10, 25, 18), (5, 4, 3))
    like = rng.normal((160, 80, 100), (30, 12, 5), (6, 7, 3))
    given = array(call(answer, image, like), image.shape, "The result")
    own, other = image.reshape(-1, 3), like.reshape(-1, 3)
    ratio = other.std(0) / own.std(0)
    centred, all_ratio = image - own.mean(0), like.std() / image.std()
    mistakes = {
        "The picture came back as it was.": image,
        "The means fit now; how far the colours spread does not yet.": centred + other.mean(0),
        "The spread fits, the means don't: take your own mean off first, add the other's last.": image
        * ratio,
        "Own mean off, spread changed, and the other's mean forgotten.": centred * ratio,
        "The ratio is upside down: multiply by the other's deviation, divide by your own.": (
            centred / ratio + other.mean(0)
        ),
        "One mean and one deviation for everything: each channel has its own, so average over axis 0 only.": (
            (image - image.mean()) * all_ratio + like.mean()
        ),
        "Variances where deviations belong: take the square root, or use .std.": centred * ratio**2
        + other.mean(0),
        "Your own mean was put back, not the other's.": centred * ratio + own.mean(0),
    }
    found = given.reshape(-1, 3)
    otherwise = (
        f"Your channels have means {np.round(found.mean(0), 1)} and deviations {np.round(found.std(0), 1)}; "
        f"the other's are {np.round(other.mean(0), 1)} and {np.round(other.std(0), 1)}."
    )
    match(given, recolour(image, like), mistakes, otherwise, within=1e-3)


RECOLOUR = Exercise(
    id="07.6",
    title="another picture's colours",
    name="recolour",
    hint="`image.reshape(-1, 3)` makes a list of pixels; mean and std over axis 0 give one number a channel.",
    after="`style.match_colours` goes one step further: channels that vary together keep doing so.",
    check=check_recolour,
    solution=recolour,
    wrong=lambda: {
        "as it was": lambda image, like: image,
        "how far the colours spread": lambda image, like: image - image.mean((0, 1)) + like.mean((0, 1)),
        "The spread fits, the means don't": lambda image, like: image * like.std((0, 1)) / image.std((0, 1)),
        "the other's mean forgotten": lambda image, like: recolour(image, like) - like.mean((0, 1)),
        "upside down": lambda image, like: (
            (image - image.mean((0, 1))) * image.std((0, 1)) / like.std((0, 1)) + like.mean((0, 1))
        ),
        "each channel has its own": lambda image, like: (
            (image - image.mean()) * like.std() / image.std() + like.mean()
        ),
        "Variances where": lambda image, like: (
            (image - image.mean((0, 1))) * like.var((0, 1)) / image.var((0, 1)) + like.mean((0, 1))
        ),
        "Your own mean was put back": lambda image, like: (
            recolour(image, like) - like.mean((0, 1)) + image.mean((0, 1))
        ),
        "Your channels have means": lambda image, like: image[..., ::-1],
        "has shape (6, 7, 3)": lambda image, like: recolour(like, image),
    },
    right=lambda: [
        lambda image, like: (
            (image - image.mean((0, 1))) / image.std((0, 1)) * like.std((0, 1)) + like.mean((0, 1))
        ),
        lambda image, like: np.stack(
            [
                (c - c.mean()) / c.std() * d.std() + d.mean()
                for c, d in zip(np.moveaxis(image, -1, 0), np.moveaxis(like, -1, 0), strict=True)
            ],
            axis=-1,
        ),
    ],
)

# --- 07.7 ----------------------------------------------------------------------------------------------


def region_gram(maps, mask):
    inside = maps * mask[..., None]
    return np.tensordot(inside, maps, axes=((0, 1), (0, 1))) / mask.sum()


def check_region_gram(answer: Any) -> None:
    rng = np.random.default_rng(13)
    maps, mask = rng.normal(0.4, 1, (4, 6, 3)), rng.uniform(0, 1, (4, 6))
    mask[:, 4:] = 0
    given = array(call(answer, maps, mask), (3, 3), "For maps of shape (4, 6, 3) the result")
    right, places = region_gram(maps, mask), maps.reshape(-1, 3)
    twice = region_gram(maps, mask**2) * (mask**2).sum()
    mistakes = {
        "The mask plays no part in it: that is the mean over the whole picture.": places.T @ places / 24,
        "The mask plays no part in it, and nothing is divided.": places.T @ places,
        "The sum is right; divide by how many places the mask holds, `mask.sum()`.": right * mask.sum(),
        "Divided by all 24 places: a small region would weigh next to nothing. Take `mask.sum()`.": (
            right * mask.sum() / 24
        ),
        "Divided by the places that the mask touches: half a place counts half.": (
            right * mask.sum() / (mask > 0).sum()
        ),
        "Both maps are multiplied by the mask, so it counts twice: a place at 0.5 would count a quarter.": (
            twice / mask.sum()
        ),
        "The mask counts twice, above and below: a place at 0.5 would count a quarter.": (
            twice / (mask**2).sum()
        ),
        "Outside and inside are exchanged.": region_gram(maps, 1 - mask),
    }
    otherwise = f"Entry (0, 1) is {given[0, 1]:.3f}; within this mask it should be {right[0, 1]:.3f}."
    match(given, right, mistakes, otherwise)


REGION_GRAM = Exercise(
    id="07.7",
    title="the Gram matrix of a region",
    name="region_gram",
    hint="`maps * mask[..., None]` fades one factor out where the mask is 0; the other factor stays whole.",
    after="With it the loss can ask for one style here and another there; the network need not know.",
    check=check_region_gram,
    solution=region_gram,
    wrong=lambda: {
        "the mean over the whole picture": lambda maps, mask: gram(maps) / mask.size,
        "and nothing is divided": lambda maps, mask: gram(maps),
        "divide by how many places": lambda maps, mask: region_gram(maps, mask) * mask.sum(),
        "Divided by all 24 places": lambda maps, mask: region_gram(maps, mask) * mask.mean(),
        "half a place counts half": lambda maps, mask: (
            region_gram(maps, mask) * mask.sum() / np.count_nonzero(mask)
        ),
        "so it counts twice": lambda maps, mask: gram(maps * mask[..., None]) / mask.sum(),
        "twice, above and below": lambda maps, mask: region_gram(maps, mask**2),
        "exchanged": lambda maps, mask: region_gram(maps, 1 - mask),
        "Entry (0, 1)": lambda maps, mask: region_gram(maps, mask > 0.5),
        "has shape": lambda maps, mask: maps * mask[..., None],
    },
    right=lambda: [
        lambda maps, mask: gram(maps * np.sqrt(mask)[..., None]) / mask.sum(),
        lambda maps, mask: np.einsum("hwi,hwj,hw->ij", maps, maps, mask) / mask.sum(),
    ],
)

EXERCISES = (CONTENT_LOSS, ENTRIES, GRAM, STYLE_LOSS, VARIATION, RECOLOUR, REGION_GRAM)

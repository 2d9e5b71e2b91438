"""Hypercolumns: the dense array against other libraries, every factored operation against the dense one."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from course_utils import hypercolumns, runtime
from course_utils.hypercolumns import Axis, Factored, clustering, grid, linear
from course_utils.pictures import images

FEW = settings(max_examples=25, deadline=None)


def stretched(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear, half-pixel centres, by np.interp along one axis after the other, float64."""
    for axis, after in enumerate(size):
        before = maps.shape[axis]
        places = (np.arange(after) + 0.5) * before / after - 0.5
        maps = np.apply_along_axis(lambda v, p=places, n=before: np.interp(p, np.arange(n), v), axis, maps)
    return maps


def dense_of(maps: dict[str, np.ndarray], size: tuple[int, int]) -> np.ndarray:
    parts = [stretched(m.astype(float) if m.ndim == 3 else m.reshape(1, 1, -1), size) for m in maps.values()]
    return np.concatenate(parts, axis=-1)


@st.composite
def stacks(draw, smallest: int = 1):
    """A picture size and the maps of one to four layers: of its size, smaller, or a vector."""
    height, width = draw(st.tuples(st.integers(smallest, 19), st.integers(smallest, 19)))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    maps = {}
    for i in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["whole", "smaller", "vector"]))
        channels = draw(st.integers(1, 5))
        shape = {"whole": (height, width), "vector": ()}.get(kind)
        if shape is None:
            shape = draw(st.integers(1, height)), draw(st.integers(1, width))
        offset = draw(st.sampled_from([0.0, 30.0]))
        maps[f"layer{i}"] = np.maximum(rng.normal(offset, 10, (*shape, channels)), 0).astype(np.float32)
    return maps, (height, width)


@pytest.fixture(params=[8192, 24], ids=["one band", "many bands"])
def bands(request, monkeypatch):
    """Run with the picture in one band of rows, and cut into many."""
    monkeypatch.setattr(grid, "BAND", request.param)


def picture(layers: int = 5, size: tuple[int, int] = (48, 64), seed: int = 0) -> dict[str, np.ndarray]:
    """Smooth maps with blobs in them, as a network's are, finer and coarser."""
    rng = np.random.default_rng(seed)
    maps = {}
    for i in range(layers):
        height, width = (max(2, side // 2**i) for side in size)
        coarse = stretched(rng.normal(size=(5, 6, 6 + 2 * i)), (height, width))
        maps[f"block{i}"] = np.maximum(40 * coarse + rng.normal(0, 4, coarse.shape), 0).astype(np.float32)
    return maps


# --- bilinear -------------------------------------------------------------------------------------


@FEW
@given(stacks())
def test_stretching_is_interpolation_along_both_axes(case):
    maps, size = case
    for values in maps.values():
        values = values.reshape(1, 1, -1) if values.ndim == 1 else values
        np.testing.assert_allclose(hypercolumns.stretch(values, size), stretched(values, size), atol=1e-4)


@pytest.mark.parametrize(("before", "after"), [((7, 5), (28, 35)), ((14, 14), (224, 224)), ((3, 8), (10, 9))])
def test_stretching_agrees_with_opencv_pillow_and_keras(before, after):
    import cv2
    from PIL import Image

    runtime.start(seed=0)
    import keras

    values = np.random.default_rng(0).uniform(0, 100, before).astype(np.float32)
    ours = hypercolumns.stretch(values, after)
    by_opencv = cv2.resize(values, after[::-1], interpolation=cv2.INTER_LINEAR)
    by_pillow = np.asarray(Image.fromarray(values).resize(after[::-1], Image.Resampling.BILINEAR))
    by_keras = np.asarray(keras.ops.image.resize(values[..., None], after, "bilinear"))[..., 0]
    for name, theirs in {"OpenCV": by_opencv, "Pillow": by_pillow, "Keras": by_keras}.items():
        np.testing.assert_allclose(ours, theirs, atol=2e-3, err_msg=name)


def test_an_axis_that_is_not_stretched_is_the_identity():
    np.testing.assert_array_equal(Axis(6, 6).matrix.toarray(), np.eye(6))


# --- every operation, factored and dense ----------------------------------------------------------


@FEW
@given(stacks())
def test_dense(case):
    maps, size = case
    factored = Factored(maps, size)
    expected = dense_of(maps, size)
    assert factored.shape == expected.shape
    np.testing.assert_allclose(factored.dense(), expected, atol=1e-4)


@FEW
@given(stacks(), st.integers(0, 99))
def test_products_and_sums(case, seed):
    maps, size = case
    factored, dense, rng = Factored(maps, size), dense_of(*case), np.random.default_rng(seed)
    weights = rng.normal(size=(dense.shape[-1], 3))
    np.testing.assert_allclose(factored.dot(weights), dense @ weights, atol=2e-3)
    np.testing.assert_allclose(factored.dot(weights[:, 0]), dense @ weights[:, 0], atol=2e-3)
    shares = rng.normal(size=(*size, 2))
    expected = np.einsum("hwd,hwk->dk", dense, shares)
    np.testing.assert_allclose(factored.sums(shares), expected, atol=2e-3, rtol=1e-5)
    assert factored.sums(shares[..., 0]).shape == (dense.shape[-1],)


@FEW
@given(stacks())
def test_means_deviations_and_covariance(case):
    maps, size = case
    factored, flat = Factored(maps, size), dense_of(maps, size).reshape(size[0] * size[1], -1)
    np.testing.assert_allclose(factored.mean(), flat.mean(axis=0), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(factored.std(), flat.std(axis=0), rtol=1e-4, atol=2e-3)
    expected = np.cov(flat.T, bias=True).reshape(flat.shape[1], -1)
    np.testing.assert_allclose(factored.covariance(), expected, rtol=1e-4, atol=5e-3)


@FEW
@given(stacks(), st.integers(0, 99))
def test_scaling_and_standardizing(case, seed):
    maps, size = case
    factored, dense, rng = Factored(maps, size), dense_of(maps, size), np.random.default_rng(seed)
    shift, scale = rng.normal(size=dense.shape[-1]), rng.uniform(1, 3, dense.shape[-1])
    other = factored.scaled(shift, scale).scaled(0.5, 2.0)
    expected = ((dense - shift) / scale - 0.5) / 2
    weights = rng.normal(size=dense.shape[-1])
    np.testing.assert_allclose(other.dense(), expected, atol=1e-3)
    np.testing.assert_allclose(other.dot(weights), expected @ weights, atol=5e-3)
    np.testing.assert_allclose(other.mean(), expected.mean(axis=(0, 1)), atol=1e-3)
    np.testing.assert_allclose(other.sums(np.ones(size)), expected.sum(axis=(0, 1)), atol=0.05, rtol=1e-4)
    np.testing.assert_allclose(other.lengths, np.linalg.norm(expected, axis=-1), atol=5e-3)


def test_standardizing_is_scikit_learns(bands):
    maps = picture() | {"constant": np.full((3, 4, 2), 7, np.float32), "dense": np.float32([1, 2, 3])}
    factored = Factored(maps, (48, 64))
    expected = StandardScaler().fit_transform(dense_of(maps, (48, 64)).reshape(48 * 64, -1))
    np.testing.assert_allclose(factored.standardized().dense().reshape(48 * 64, -1), expected, atol=1e-3)


@FEW
@given(stacks(), st.integers(0, 99))
def test_pixels_distances_and_similarities(case, seed):
    maps, size = case
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(0, size[0], 4), rng.integers(0, size[1], 4)
    for factored in (Factored(maps, size), Factored(maps, size).scaled(3.0, 2.0)):
        dense = factored.dense().astype(float)
        np.testing.assert_allclose(factored.pixels(rows, columns), dense[rows, columns], atol=1e-4)
        vectors = dense[rows, columns]
        expected = ((dense[:, :, None] - vectors) ** 2).sum(axis=-1)
        tolerance = 1e-4 * max(1.0, expected.max())
        np.testing.assert_allclose(factored.squared_distances(vectors), expected, atol=tolerance)
        length = np.linalg.norm(dense, axis=-1)
        np.testing.assert_allclose(factored.lengths, length, atol=1e-2, rtol=1e-3)
        one = dense[rows[0], columns[0]]
        both = length * np.linalg.norm(one)
        clear = both > 1  # where a hypercolumn is nearly 0, its angle is rounding
        cosine = np.divide(dense @ one, both, out=np.zeros(size), where=clear)
        ours = factored.similarity(int(rows[0]), int(columns[0]))
        np.testing.assert_allclose(ours[clear], cosine[clear], atol=1e-3)


def test_the_most_similar_pixel_is_the_pixel_itself(bands):
    factored = Factored(picture(), (48, 64))
    for kind, most in (("cosine", 1.0), ("distance", 0.0)):
        likeness = factored.similarity(20, 31, kind)
        assert np.unravel_index(likeness.argmax(), likeness.shape) == (20, 31)
        assert likeness[20, 31] == pytest.approx(most, abs=0.3 if kind == "distance" else 1e-4)


@FEW
@given(stacks(), st.integers(0, 99))
def test_region_means(case, seed):
    maps, size = case
    factored, dense, rng = Factored(maps, size), dense_of(maps, size), np.random.default_rng(seed)
    regions = rng.integers(-1, 3, size)
    regions[0, 0] = 3
    means = factored.region_means(regions)
    assert means.shape == (4, dense.shape[-1])
    for number, mean in enumerate(means):
        inside = dense[regions == number]
        expected = inside.mean(axis=0) if len(inside) else np.full(dense.shape[-1], np.nan)
        np.testing.assert_allclose(mean, expected, atol=1e-3)
    mask = regions >= 1
    np.testing.assert_allclose(factored.region_means(mask), dense[mask].mean(axis=0), atol=1e-3)


def test_many_bands_give_what_one_gives(monkeypatch):
    answers = []
    for pixels in (8192, 100):
        monkeypatch.setattr(grid, "BAND", pixels)
        factored = Factored(picture(), (48, 64))
        answers.append([factored.mean(), factored.std(), factored.covariance(), factored.spread])
    for one, many in zip(*answers, strict=True):
        np.testing.assert_allclose(one, many, rtol=1e-4, atol=1e-2)


def test_a_large_common_part_costs_no_precision():
    maps = {name: values + 3000 for name, values in picture().items()}
    factored, dense = Factored(maps, (48, 64)), dense_of(maps, (48, 64))
    flat = dense.reshape(48 * 64, -1)
    np.testing.assert_allclose(factored.std(), flat.std(axis=0), rtol=1e-3)
    expected = ((dense - dense[10, 20]) ** 2).sum(axis=-1)
    np.testing.assert_allclose(
        factored.squared_distances(dense[10, 20]), expected, atol=2e-3 * expected.max()
    )


# --- k-means --------------------------------------------------------------------------------------


def by_scikit_learn(flat: np.ndarray, starts: np.ndarray, **options) -> KMeans:
    """scikit-learn's KMeans from the pixels `starts`, (n, k)."""
    following = itertools.cycle(starts)

    def init(x, n_clusters, random_state):
        return x[next(following)]

    options = {"tol": 0, "algorithm": "lloyd", **options}
    return KMeans(starts.shape[1], n_init=len(starts), init=init, **options).fit(flat)


@pytest.mark.parametrize("clusters", [1, 2, 3, 8])
@pytest.mark.parametrize("scaled", [False, True], ids=["raw", "standardized"])
def test_kmeans_gives_scikit_learns_labels(clusters, scaled, bands):
    factored = Factored(picture(), (48, 64))
    factored = factored.standardized() if scaled else factored
    starts = hypercolumns.plus_plus(factored, clusters, n_init=4, seed=1)
    ours = hypercolumns.kmeans(factored, clusters, starts=starts)
    theirs = by_scikit_learn(factored.dense().reshape(48 * 64, -1), starts)
    assert clustering.same(ours.labels, theirs.labels_.reshape(48, 64))
    assert (ours.labels.ravel() == theirs.labels_).mean() >= 0.9999
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, atol=1e-2)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-4)
    assert ours.iterations == theirs.n_iter_


def test_kmeans_of_a_networks_maps_gives_scikit_learns_labels(network):
    factored = Factored.from_model(network, images.resize(images.sample("chelsea"), 96), [3, 8, 15, 22])
    dense = factored.dense().reshape(96 * 96, -1)
    for clusters in (2, 5):
        starts = hypercolumns.plus_plus(factored, clusters, n_init=3)
        ours = hypercolumns.kmeans(factored, clusters, starts=starts)
        theirs = by_scikit_learn(dense, starts)
        assert (ours.labels.ravel() == theirs.labels_).mean() >= 0.9999


def test_kmeans_does_not_depend_on_how_many_starts_run_together(monkeypatch):
    factored = Factored(picture(), (48, 64))
    starts = hypercolumns.plus_plus(factored, 4, n_init=7)
    together = hypercolumns.kmeans(factored, 4, starts=starts)
    monkeypatch.setattr(clustering, "starts_together", lambda *_: 2)
    apart = hypercolumns.kmeans(factored, 4, starts=starts)
    np.testing.assert_array_equal(together.labels, apart.labels)
    assert (together.start, together.iterations) == (apart.start, apart.iterations)


@pytest.mark.parametrize(("max_iter", "tol"), [(1, 0), (3, 0), (300, 1e-2), (300, 1e-4)])
def test_kmeans_that_stops_early(max_iter, tol):
    factored = Factored(picture(), (48, 64))
    starts = hypercolumns.plus_plus(factored, 5, n_init=3)
    ours = hypercolumns.kmeans(factored, 5, starts=starts, max_iter=max_iter, tol=tol)
    flat = factored.dense().reshape(48 * 64, -1)
    theirs = by_scikit_learn(flat, starts, max_iter=max_iter, tol=tol)
    np.testing.assert_array_equal(ours.labels.ravel(), theirs.labels_)
    assert ours.iterations == theirs.n_iter_
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-4)


@pytest.mark.parametrize("far", [1, 2, 3])
def test_kmeans_refills_empty_clusters_as_scikit_learn_does(far, bands):
    factored = Factored(picture(), (48, 64))
    flat = factored.dense().reshape(48 * 64, -1)
    centers = np.concatenate([flat[[5, 900, 2000]], flat[:far] * 0 - 1e4 * np.arange(1, far + 1)[:, None]])
    ours = hypercolumns.kmeans(factored, 3 + far, starts=centers)
    theirs = KMeans(3 + far, init=centers, n_init=1, tol=0).fit(flat)
    assert len(np.unique(ours.labels)) == 3 + far
    assert clustering.same(ours.labels, theirs.labels_.reshape(48, 64))
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-4)


def test_kmeans_with_fewer_different_pixels_than_clusters():
    values = np.zeros((4, 4, 2), np.float32)
    values[:2] = 9
    found = hypercolumns.kmeans(Factored({"a": values}, (4, 4)), 3, n_init=2)
    assert len(np.unique(found.labels)) == 2
    assert found.inertia == pytest.approx(0, abs=1e-3)
    assert clustering.same(found.labels, (values[..., 0] > 0).astype(int))


def test_starts_are_different_pixels_and_repeat_with_the_seed():
    factored = Factored(picture(), (48, 64))
    starts = hypercolumns.plus_plus(factored, 6, n_init=5, seed=3)
    assert starts.shape == (5, 6)
    assert all(len(set(row)) == 6 for row in starts)
    np.testing.assert_array_equal(starts, hypercolumns.plus_plus(factored, 6, n_init=5, seed=3))
    assert not np.array_equal(starts, hypercolumns.plus_plus(factored, 6, n_init=5, seed=4))


def test_same_clustering_under_other_names():
    a = np.array([[0, 0, 1], [2, 2, 1]])
    assert clustering.same(a, np.array([[2, 2, 0], [1, 1, 0]]))
    assert not clustering.same(a, np.array([[2, 2, 0], [1, 0, 0]]))
    assert not clustering.same(a, np.zeros_like(a))


# --- linear models --------------------------------------------------------------------------------


@pytest.mark.parametrize("scaled", [False, True], ids=["raw", "standardized"])
def test_principal_components_are_scikit_learns(scaled, bands):
    factored = Factored(picture(), (48, 64))
    factored = factored.standardized() if scaled else factored
    ours = hypercolumns.pca(factored, 3)
    theirs = PCA(3, svd_solver="full").fit(factored.dense().reshape(48 * 64, -1).astype(float))
    np.testing.assert_allclose(ours.shares, theirs.explained_variance_ratio_, rtol=1e-4)
    alignment = np.abs((ours.directions * theirs.components_).sum(axis=1))
    np.testing.assert_allclose(alignment, 1, atol=1e-5)
    flat = ours.projections.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(
        np.cov(flat.T, bias=True), np.diag(ours.variances), atol=1e-2 * ours.variances[0]
    )


@pytest.mark.parametrize("strength", [0.001, 0.1, 1.0])
def test_ridge_is_scikit_learns(strength):
    factored = Factored(picture(), (48, 64))
    flat = factored.dense().reshape(48 * 64, -1).astype(float)
    rng = np.random.default_rng(0)
    target = (flat @ rng.normal(size=(flat.shape[1], 2)) + rng.normal(size=(len(flat), 2))).reshape(48, 64, 2)
    ours = hypercolumns.ridge(factored, target, strength)
    standard = StandardScaler().fit(flat)
    theirs = Ridge(alpha=strength * len(flat)).fit(standard.transform(flat), target.reshape(-1, 2))
    expected = theirs.predict(standard.transform(flat)).reshape(48, 64, 2)
    np.testing.assert_allclose(ours(factored), expected, atol=2e-3 * np.abs(expected).max())


def test_ridge_over_several_pictures_is_one_fit_over_all_their_pixels():
    rng = np.random.default_rng(0)
    pictures = [Factored(picture(size=size, seed=i), size) for i, size in enumerate([(48, 64), (32, 40)])]
    targets = [rng.normal(i, 1, p.size) + p.dense()[..., 0] for i, p in enumerate(pictures)]
    ours = hypercolumns.ridge(pictures, targets, 0.1)
    flat = np.concatenate([p.dense().reshape(-1, p.shape[2]) for p in pictures]).astype(float)
    standard = StandardScaler().fit(flat)
    values = np.concatenate([t.ravel() for t in targets])
    theirs = Ridge(alpha=0.1 * len(flat)).fit(standard.transform(flat), values)
    for factored in pictures:
        rows = factored.dense().reshape(-1, factored.shape[2])
        expected = theirs.predict(standard.transform(rows)).reshape(*factored.size, 1)
        np.testing.assert_allclose(ours(factored), expected, atol=1e-2)


def test_ridge_ignores_channels_that_never_change():
    maps = picture(2) | {"constant": np.full((4, 4, 3), 5, np.float32)}
    factored = Factored(maps, (48, 64))
    fit = hypercolumns.ridge(factored, factored.dense()[..., 0], 0.01)
    np.testing.assert_array_equal(fit.weights[-3:], 0)


@pytest.mark.parametrize("share", [1.0, 0.02], ids=["all pixels", "scribbles"])
@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_minimizes_the_dense_loss(share, classes, bands):
    factored = Factored(picture(3), (48, 64))
    dense = factored.dense()
    rng = np.random.default_rng(0)
    truth = np.digitize(dense[..., 1] + rng.normal(0, 8, (48, 64)), [15, 35][: classes - 1])
    labels = np.where(rng.random((48, 64)) < share, truth, -1)
    ours = hypercolumns.logistic(factored, labels, strength=0.05, max_iter=500)
    flat = StandardScaler().fit_transform(dense.reshape(48 * 64, -1).astype(float)).reshape(48, 64, -1)
    known = labels >= 0
    # scikit-learn's penalty is on the sum; for two classes it keeps one vector, ours two of half the size
    penalty = known.sum() * 0.05 / (2 if classes == 2 else 1)
    theirs = LogisticRegression(C=1 / penalty, max_iter=5000, tol=1e-8).fit(flat[known], labels[known])
    expected = theirs.predict_proba(flat.reshape(48 * 64, -1)).reshape(48, 64, classes)
    np.testing.assert_allclose(ours.probabilities(factored), expected, atol=5e-3)
    assert (ours.labels(factored) == expected.argmax(axis=-1)).mean() > 0.995


def test_the_gradient_of_the_cross_entropy():
    factored = Factored(picture(2), (48, 64)).standardized()
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 3, (48, 64))
    loss = linear.CrossEntropy(factored, labels, 3, strength=0.1)
    at, along = rng.normal(0, 0.1, (2, (factored.shape[2] + 1) * 3))
    step = 1e-2
    slope = (loss(at + step * along)[0] - loss(at - step * along)[0]) / (2 * step)
    assert loss(at)[1] @ along == pytest.approx(slope, rel=1e-3)


# --- from a model ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    from course_utils.networks import vgg16

    runtime.start(seed=0)
    return vgg16.build(1 / 8, include_top=False)


def test_extract_puts_stretched_maps_behind_one_another(network):
    from course_utils.features.maps import feature_maps

    image = images.resize(images.sample("chelsea"), (70, 97))
    dense = hypercolumns.extract(network, image, [3, "block3_conv3", 22])
    maps = feature_maps(network, image, ["block1_conv2", "block3_conv3", "block4_conv3"])
    assert dense.shape == (70, 97, 8 + 32 + 64)
    assert dense.dtype == np.float32
    scale = np.abs(dense).max()
    np.testing.assert_allclose(dense, dense_of(maps, (70, 97)), atol=1e-5 * scale)
    factored = Factored.from_model(network, image, [3, "block3_conv3", 22], padding="zeros")
    assert list(factored.layers) == ["block1_conv2", "block3_conv3", "block4_conv3"]
    np.testing.assert_allclose(factored.dense(), dense, atol=1e-6 * scale)


def test_full_width_has_192_and_1472_values_a_pixel():
    from course_utils.networks import vgg16

    runtime.start(seed=0)
    full = vgg16.build(1.0, include_top=False, initializer="zeros")
    image = np.zeros((32, 32, 3), np.float32)
    assert Factored.from_model(full, image, [3, 8]).shape == (32, 32, 192)
    assert Factored.from_model(full, image, [3, 8, 15, 22, 29]).shape == (32, 32, 1472)
    assert Factored.from_model(full, image, [3, 8], size=(40, 64)).shape == (40, 64, 192)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("size", [(97, 70), (64, 64), (33, 130)])
def test_strips_give_the_maps_of_one_pass(size, batch_norm, monkeypatch):
    from course_utils.features.maps import feature_maps
    from course_utils.hypercolumns import strips
    from course_utils.networks import pretrained, vgg16

    runtime.start(seed=0)
    names = ["block1_conv1", "block1_conv2", "block2_pool", "block3_conv1", "block5_conv3"]
    model = vgg16.build(1 / 16, include_top=False, batch_norm=batch_norm)
    image = np.random.default_rng(0).uniform(0, 255, (*size, 3)).astype(np.float32)
    whole = feature_maps(model, image, names)
    monkeypatch.setattr(strips, "WORK_BYTES", 20_000)
    chain, tail = strips.chain_until(model, names)
    assert not tail
    cut = strips.maps_in_strips(chain, pretrained.about(model).preprocess(image), names)
    assert list(cut) == names
    for name in names:
        np.testing.assert_allclose(
            cut[name], whole[name], atol=1e-4 * np.abs(whole[name]).max(), err_msg=name
        )


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_dense_layers_give_every_pixel_the_same_values(pooling):
    from course_utils.networks import vgg16

    runtime.start(seed=0)
    model = vgg16.build(1 / 32, input_shape=(32, 32, 3), classes=10, pooling=pooling)
    image = images.sample("coffee")
    dense = hypercolumns.extract(model, image, [3, "fc1", "predictions"], size=32)
    answers = np.asarray(model(images.preprocess(images.resize(image, 32))[None]))[0]
    assert dense.shape == (32, 32, 2 + 128 + 10)
    np.testing.assert_allclose(dense[..., -10:], np.broadcast_to(answers, (32, 32, 10)), atol=1e-5)
    factored = Factored.from_model(model, image, [3, "fc1", "predictions"], size=32, padding="zeros")
    np.testing.assert_allclose(factored.dense(), dense, atol=1e-4)


def mirrored_conv(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A 3x3 convolution with ReLU of maps that are mirrored at their edge, by SciPy in float64."""
    from scipy.ndimage import correlate

    sums = [
        sum(correlate(x[..., i], kernel[..., i, o], mode="reflect") for i in range(x.shape[-1]))
        for o in range(kernel.shape[-1])
    ]
    return np.maximum(np.stack(sums, axis=-1) + bias, 0)


def test_mirrored_at_the_edge(network, monkeypatch):
    from course_utils.hypercolumns import strips

    monkeypatch.setattr(strips, "WORK_BYTES", 20_000)  # strips as well have the picture's edge only
    image = np.random.default_rng(0).uniform(0, 255, (50, 34, 3)).astype(np.float32)
    found = Factored.from_model(network, image, ["block1_conv2", "block2_conv1"]).maps
    x = images.preprocess(image).astype(float)
    for name in ("block1_conv1", "block1_conv2"):
        x = mirrored_conv(x, *(w.numpy() for w in network.get_layer(name).weights))
    np.testing.assert_allclose(found["block1_conv2"], x, atol=1e-4 * x.max())
    x = x.reshape(25, 2, 17, 2, -1).max(axis=(1, 3))
    x = mirrored_conv(x, *(w.numpy() for w in network.get_layer("block2_conv1").weights))
    np.testing.assert_allclose(found["block2_conv1"], x, atol=1e-4 * x.max())


def test_a_constant_picture_stays_constant_to_the_edge(network):
    grey = np.full((48, 80, 3), 128, np.float32)
    for padding, constant in (("mirror", True), ("zeros", False)):
        maps = Factored.from_model(network, grey, [3, 8, 15, 22, 29], padding=padding).maps
        for name, each in maps.items():
            assert (np.ptp(each, axis=(0, 1)).max() < 1e-4 * each.max()) == constant, (padding, name)
    with pytest.raises(ValueError, match="'mirror' and 'zeros'"):
        Factored.from_model(network, grey, [3], padding="reflect")


def test_class_scores_are_maps_of_one_place():
    from course_utils.networks import vgg16

    runtime.start(seed=0)
    model = vgg16.build(1 / 32, head="average", classes=10)
    image = images.resize(images.sample("coffee"), (40, 64))
    factored = Factored.from_model(model, image, ["block5_conv3", "predictions"], padding="zeros")
    answers = np.asarray(model(images.preprocess(image)[None]))[0]
    assert factored.maps["predictions"].shape == (1, 1, 10)
    np.testing.assert_allclose(factored.maps["predictions"][0, 0], answers, atol=1e-6)
    standard = factored.standardized()
    assert not standard.dense()[..., standard.layers["predictions"]].any()


# --- memory ---------------------------------------------------------------------------------------


def peak_of(action) -> int:
    """Bytes that NumPy holds at most during an action, beyond those before."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("channels", [(64, 128), (32, 64, 128, 256, 256)], ids=["[3, 8]", "half width"])
def test_work_stays_below_a_tenth_of_the_dense_array(channels):
    side, rng = 224, np.random.default_rng(0)
    maps = {f"block{i}": rng.random((side >> i, side >> i, c), np.float32) for i, c in enumerate(channels)}
    limit = side * side * sum(channels) * 4 / 10
    starts = hypercolumns.plus_plus(Factored(maps, (side, side)), 4, 3)  # imports scikit-learn, too
    work = {
        "k-means": lambda f: hypercolumns.kmeans(f, 4, starts=starts, max_iter=2),
        "starts": lambda f: hypercolumns.plus_plus(f, 2, 1),
        "standardized": lambda f: f.standardized(),
        "covariance": lambda f: f.covariance(),
        "similarity": lambda f: f.similarity(20, 30),
        "regions": lambda f: f.region_means(np.zeros((side, side), np.int64)),
    }
    for name, action in work.items():
        used = peak_of(lambda act=action: act(Factored(maps, (side, side))))
        assert used < limit, f"{name}: {used / 1e6:.1f} MB of {limit / 1e6:.1f}"


def test_maps_are_not_copied():
    maps = picture()
    factored = Factored(maps, (48, 64))
    for stack, values in zip(factored.grid.stacks, maps.values(), strict=True):
        assert np.shares_memory(stack.values, values)
    assert factored.standardized().grid is factored.grid


# --- marks, and judging clusters ------------------------------------------------------------------


def test_scribbles_become_labels():
    strokes = {"sky": [[(0, 0), (1, 0)]], "thing": [[(0.5, 0.5)], [(0, 1), (1, 1)]]}
    labels = hypercolumns.scribble((41, 61), strokes, thickness=1)
    assert labels.shape == (41, 61)
    assert (labels[0] == 0).all() and (labels[-1] == 1).all()
    assert labels[20, 30] == 1
    assert (labels == -1).sum() == 41 * 61 - 61 - 61 - 1
    with pytest.raises(ValueError, match=r"'thing' leaves the picture.*shares from 0 to 1"):
        hypercolumns.scribble((41, 61), {"thing": [[(10, 20)]]})


def test_the_nearest_stroke_is_found_without_the_picture():
    labels = np.full((9, 14), -1)
    labels[1, 2], labels[7, 3], labels[4, 12] = 0, 1, 2
    found = hypercolumns.nearest_stroke(labels)
    for row, column in np.ndindex(9, 14):
        distances = [(row - r) ** 2 + (column - c) ** 2 for r, c in ((1, 2), (7, 3), (4, 12))]
        assert distances[found[row, column]] == min(distances)
    with pytest.raises(ValueError, match="no pixel"):
        hypercolumns.nearest_stroke(labels * 0 - 1)


@pytest.mark.parametrize("kind", ["cosine", "distance"])
def test_a_pixel_is_found_again_where_the_picture_was_moved(kind):
    values = np.random.default_rng(0).normal(size=(20, 30, 6)).astype(np.float32)
    moved = np.roll(values, (3, -4), (0, 1))
    source, target = (Factored({"a": each}, (20, 30)) for each in (values, moved))
    assert hypercolumns.match(source, 5, 10, target, kind) == (8, 6)


def test_scribbles_of_two_kinds_of_place_cut_them_apart():
    values = np.zeros((40, 60, 3), np.float32)
    values[10:30, 20:50] = 5
    values += np.random.default_rng(0).normal(0, 1, values.shape)
    strokes = {"rest": [[(0.02, 0.02), (0.98, 0.05)]], "thing": [[(0.5, 0.4), (0.7, 0.6)]]}
    factored = Factored({"a": values}, (40, 60))
    found = hypercolumns.logistic(factored, hypercolumns.scribble((40, 60), strokes)).labels(factored)
    truth = np.zeros((40, 60), bool)
    truth[10:30, 20:50] = True
    assert ((found == 1) == truth).mean() > 0.98


def test_a_marked_pixel_beside_its_likeness():
    from course_utils.hypercolumns import marks

    image = np.full((30, 40, 3), 200, np.float32)
    likeness = np.linspace(-1, 1, 1200).reshape(30, 40)
    shown = marks.beside(image, likeness, 0, 39)  # a corner: the cross is cut off, nothing wraps around
    assert shown.shape == (30, 88, 3) and shown.dtype == np.uint8
    assert (shown[15:, :30] == 200).all()
    assert (shown[5, 39] == 255).all() and (shown[5, 87] == 255).all()
    flat = marks.beside(image, np.zeros((30, 40)), 5, 5)
    assert len(np.unique(flat[15:, 48:].reshape(-1, 3), axis=0)) == 1


def test_the_best_cluster_is_judged_by_intersection_over_union():
    labels = np.zeros((4, 6), int)
    labels[:2] = 1
    labels[3, 5] = 2
    mask = np.zeros((4, 6), bool)
    mask[0] = mask[3, 0] = True
    assert hypercolumns.best_iou(labels, mask) == pytest.approx(6 / 13)
    judged = np.where(mask, 3, 0).astype(np.uint8)
    judged[3, 0] = 255
    assert hypercolumns.best_iou(labels, judged) == pytest.approx(6 / 12)
    assert hypercolumns.best_iou(np.zeros((4, 6), int), mask) == pytest.approx(7 / 24)


def test_the_record_compares_all_ways_on_the_same_pictures(network):
    from experiments import clusters

    groups = clusters.pictures(1, 64, 0)
    assert len(groups["scenes"]) == 1 and len(groups["photographs"]) == 6
    for pairs in groups.values():
        for image, mask in pairs:
            assert image.shape[:2] == mask.shape and 0 < (mask == 0).sum() < mask.size
    models = {"one": network, "other": network}
    found = clusters.measure(groups["scenes"], lambda image: clusters.ways(image, models))
    assert len(found) == 7 and all(0 < value <= 1 for value in found.values())
    assert found["one"] == found["other"] != found["one, zeros at the border"]
    answers = clusters.trivial(np.uint8([[0, 1], [0, 255]]))
    assert answers["the whole picture"] == pytest.approx(1 / 3, abs=1e-6)


# --- bad input ------------------------------------------------------------------------------------


def test_bad_maps_are_refused_with_the_layer_named():
    good = np.zeros((4, 4, 2), np.float32)
    for bad, words in {
        "not finite": np.full((4, 4, 2), np.nan),
        "infinite": np.full((4, 4, 2), np.inf),
        "too small for this layer": np.zeros((0, 4, 2)),
        "(h, w, c) expected": np.zeros((1, 4, 4, 2)),
    }.items():
        with pytest.raises(ValueError, match=r"maps of deep") as error:
            Factored({"fine": good, "deep": words}, (8, 8))
        assert bad in str(error.value)
    with pytest.raises(ValueError, match="at least one layer"):
        Factored({}, (8, 8))
    with pytest.raises(ValueError, match="at least 1"):
        Factored({"fine": good}, (0, 8))


def test_bad_arguments_are_refused():
    factored = Factored(picture(2), (48, 64))
    depth = factored.shape[2]
    cases = [
        (lambda: factored.dot(np.ones(depth + 1)), r"expected"),
        (lambda: factored.sums(np.ones((64, 48))), r"\(48, 64\) expected"),
        (lambda: factored.region_means(np.ones((3, 3), bool)), "on a picture of"),
        (lambda: factored.pixel(48, 0), "rows go from 0 to 47"),
        (lambda: factored.pixel(0, -1), "columns go from 0 to 63"),
        (lambda: factored.similarity(0, 0, "angle"), "'cosine' and 'distance'"),
        (lambda: factored.scaled(0, 0), "above 0"),
        (lambda: hypercolumns.kmeans(factored, 48 * 64 + 1), "choose from 1 to 3072"),
        (lambda: hypercolumns.kmeans(factored, 0), "choose from 1"),
        (lambda: hypercolumns.kmeans(factored, 2, starts=np.zeros((3, depth))), "starts of shape"),
        (lambda: hypercolumns.pca(factored, depth + 1), "choose from 1"),
        (lambda: hypercolumns.ridge(factored, np.ones((3, 3))), "targets of shape"),
        (lambda: hypercolumns.ridge([factored], []), "one target for each"),
        (lambda: hypercolumns.ridge(factored, np.ones((48, 64)), 0), "above 0"),
        (lambda: hypercolumns.logistic(factored, np.zeros((48, 64), int)), "at least two classes"),
        (lambda: hypercolumns.logistic(factored, np.zeros((4, 4), int)), "labels"),
        (lambda: hypercolumns.logistic(factored, np.eye(48, 64, dtype=int), strength=0), "above 0"),
    ]
    for action, words in cases:
        with pytest.raises(ValueError, match=words):
            action()


def test_bad_pictures_and_layers_are_refused(network):
    photo = np.zeros((40, 40, 3), np.float32)
    for layers, words in (
        (["block9_conv1"], "block5_conv3"),
        ([2], "convolutions are 1 block1"),
        ([], "one layer"),
    ):
        with pytest.raises(ValueError, match=words):
            hypercolumns.extract(network, photo, layers)
    with pytest.raises(ValueError, match="only once"):
        Factored.from_model(network, photo, [3, "block1_conv2"])
    with pytest.raises(ValueError, match="too small for block5_conv3"):
        Factored.from_model(network, np.zeros((12, 40, 3)), [3, 29])
    with pytest.raises(ValueError, match="one picture"):
        Factored.from_model(network, photo[None], [3])

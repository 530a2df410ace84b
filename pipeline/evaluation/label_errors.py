"""Probable label errors: images that a classifier trained on the others assigns another class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

# An image is suspected if its label is less probable than this. With 5 % of the labels flipped at
# random, 67 to 91 % of the suspects were flipped and 76 to 94 % of the flipped were suspected (ants
# and bees, magnetic tiles, MNIST, on features of MobileNetV2).
MAX_PROBABILITY = 0.05

MIN_CLASS_SIZE = 5  # images of a class whose labels are judged: one in each fold
_FOLDS = 5
_MAX_REFERENCES = 5000  # images that the classifiers are trained on
_MAX_REPEATED = 2000  # images up to which several divisions into folds are averaged
_REPEATS = 3
_COMPONENTS = 256
_COLUMNS = 128  # of the features, standardized at a time
_INVERSE_STRENGTHS = (0.3, 1, 3, 10, 30)  # of regularization, times the number of components
_CHUNK = 1024
_MAX_CLASSES = 1000  # training takes minutes with more


@dataclass(frozen=True)
class LabelErrors:
    """Probable label errors, the most probable first.

    Attributes:
        indices: int (n,), of the images.
        suggested: int (n,), the most probable label.
        confidence: float (n,), its probability.
    """

    indices: np.ndarray
    suggested: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class _References:
    """The images that classifiers are trained on.

    Attributes:
        features: float32 (n, components).
        labels: int (n,), 0 to the number of classes - 1.
        classes: the number of classes.
    """

    features: np.ndarray
    labels: np.ndarray
    classes: int


def find_cross_validated_label_errors(
    features: Callable[[np.ndarray], np.ndarray], labels: np.ndarray
) -> LabelErrors:
    """Return the images whose labels cross-validated logistic regression finds improbable.

    First, confident learning finds suspects (Northcutt, Jiang and Chuang, Confident Learning:
    Estimating Uncertainty in Dataset Labels, 2021). Then the classifiers are trained without them,
    so that wrong labels do not support each other, and judge every image. Classes of fewer than 5
    images are left out, and nothing is searched among more than 1,000 classes. The classifiers are
    trained on about 5,000 images at most.

    Args:
        features: maps indices (n,) to features, float (n, units), of a network that was not trained
            on these labels. It is called in chunks, so memory does not grow with the images. What
            it returns is overwritten.
        labels: int (n,).
    """
    classes = np.flatnonzero(np.bincount(labels) >= MIN_CLASS_SIZE)
    judged = np.flatnonzero(np.isin(labels, classes))
    if not 2 <= len(classes) <= _MAX_CLASSES:
        return LabelErrors(np.empty(0, int), np.empty(0, int), np.empty(0))
    positions = np.searchsorted(classes, labels[judged])
    chosen = _sample(positions)
    project = _fit_projection(features(judged[chosen]))
    references = _References(
        project(features(judged[chosen])),  # read twice, so that they are in memory once
        positions[chosen],
        len(classes),
    )
    divisions = _cross_validate(references, np.ones(len(chosen), bool))
    suspects = _confidently_different(_held_out(references, divisions), references.labels)
    divisions = _cross_validate(references, ~suspects)

    found = [(chosen, *_judge(_held_out(references, divisions), references.labels))]
    classifiers = [classifier for division in divisions for classifier in division]
    others = np.setdiff1d(np.arange(len(judged)), chosen)
    for start in range(0, len(others), _CHUNK):
        rows = others[start : start + _CHUNK]
        projected = project(features(judged[rows]))
        mean = _mean(_predict(each, projected, len(classes)) for each in classifiers)
        found.append((rows, *_judge(mean, positions[rows])))
    rows, given, suggested, confidence = (
        np.concatenate(column) for column in zip(*found, strict=True)
    )
    wrong = np.flatnonzero((suggested != positions[rows]) & (given < MAX_PROBABILITY))
    wrong = wrong[np.argsort(given[wrong], kind="stable")]
    return LabelErrors(judged[rows[wrong]], classes[suggested[wrong]], confidence[wrong])


def _sample(labels: np.ndarray) -> np.ndarray:
    """Return the sorted indices of the references: all images, or evenly many of each class."""
    if len(labels) <= _MAX_REFERENCES:
        return np.arange(len(labels))
    order = np.argsort(labels, kind="stable")
    evenly = order[np.linspace(0, len(order) - 1, _MAX_REFERENCES).astype(int)]
    starts = np.searchsorted(labels[order], np.unique(labels))
    first = order[(starts[:, np.newaxis] + np.arange(MIN_CLASS_SIZE)).ravel()]
    return np.union1d(evenly, first)


def _fit_projection(features: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that standardizes features and projects them, float32 (n, components).

    The features that it is fitted to are overwritten, and so are those that it is called with.
    Columns are standardized in blocks, because scikit-learn makes float64 copies.
    """
    starts = range(0, features.shape[1], _COLUMNS)
    blocks = [slice(start, start + _COLUMNS) for start in starts]
    scalers = [StandardScaler(copy=False).fit(features[:, block]) for block in blocks]

    def scaled(raw: np.ndarray) -> np.ndarray:
        for block, scaler in zip(blocks, scalers, strict=True):
            raw[:, block] = scaler.transform(raw[:, block])
        return raw

    components = min(_COMPONENTS, *features.shape)
    pca = PCA(components, copy=False, random_state=0).fit(scaled(features))
    return lambda raw: pca.transform(scaled(raw)).astype(np.float32)


def _cross_validate(references: _References, kept: np.ndarray) -> list[list[LogisticRegression]]:
    """Return the classifiers of one or several divisions of the references into folds.

    Args:
        references: the images.
        kept: bool (n,), the images that are trained on.
    """
    c, first = _choose_regularization(references, kept)
    repeats = _REPEATS if len(kept) <= _MAX_REPEATED else 1
    return [first, *(_train(references, kept, c, seed) for seed in range(1, repeats))]


def _choose_regularization(
    references: _References, kept: np.ndarray
) -> tuple[float, list[LogisticRegression]]:
    """Return the inverse strength with the least log loss of the labels kept, and its classifiers.

    The loss falls and then grows as regularization weakens, while training takes longer. So the
    strongest comes first, and the search ends once the loss grows.
    """
    of_labels = (np.flatnonzero(kept), references.labels[kept])
    least, chosen = float("inf"), None
    for strength in _INVERSE_STRENGTHS:
        c = strength / references.features.shape[1]
        classifiers = _train(references, kept, c, 0)
        given = _held_out(references, [classifiers])[of_labels]
        loss = -np.log(given.clip(min=1e-15)).mean()
        if chosen and loss >= least:
            break
        least, chosen = loss, (c, classifiers)
    assert chosen is not None
    return chosen


def _train(
    references: _References, kept: np.ndarray, c: float, seed: int
) -> list[LogisticRegression]:
    """Return a classifier for each fold, trained on the images kept that are not in it."""
    classifiers = []
    for training, _ in _folds(references, seed):
        rows = training[kept[training]]
        classifier = LogisticRegression(C=c, max_iter=1000, tol=1e-3)
        classifier.fit(references.features[rows], references.labels[rows])
        classifiers.append(classifier)
    return classifiers


def _held_out(
    references: _References, divisions: Sequence[Sequence[LogisticRegression]]
) -> np.ndarray:
    """Return the probabilities of all references, float (n, classes).

    No classifier judges an image that it was trained on. The probabilities of 5,000 images and
    1,000 classes have 40 MB, so they are computed again where they are needed again.

    Args:
        references: the images.
        divisions: as `_cross_validate` returns them.
    """

    def of_division(seed: int, classifiers: Sequence[LogisticRegression]) -> np.ndarray:
        probabilities = np.empty((len(references.labels), references.classes))
        for classifier, (_, fold) in zip(classifiers, _folds(references, seed), strict=True):
            probabilities[fold] = _predict(
                classifier, references.features[fold], references.classes
            )
        return probabilities

    return _mean(of_division(seed, classifiers) for seed, classifiers in enumerate(divisions))


def _folds(references: _References, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the indices of the references outside and inside of each fold."""
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    yield from folds.split(references.features, references.labels)


def _mean(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean of arrays, of which two are in memory; the first is overwritten."""
    iterator = iter(arrays)
    total, count = next(iterator), 1
    for array in iterator:
        total += array
        count += 1
    total /= count
    return total


def _predict(classifier: LogisticRegression, features: np.ndarray, classes: int) -> np.ndarray:
    """Return probabilities, float (n, classes): 0 for a class that was not trained on."""
    probabilities = np.zeros((len(features), classes))
    probabilities[:, classifier.classes_] = classifier.predict_proba(features)
    return probabilities


def _confidently_different(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return bool (n,): whether an image belongs to another class by confident learning.

    It does if the probability of that class is above the mean of the images labeled so. The
    probabilities are overwritten.
    """
    thresholds = np.array([probabilities[labels == c, c].mean() for c in np.unique(labels)])
    probabilities[probabilities < thresholds] = 0
    return (probabilities.max(axis=1) > 0) & (probabilities.argmax(axis=1) != labels)


def _judge(
    probabilities: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the probability of each label, the most probable label, and its probability."""
    given = probabilities[np.arange(len(labels)), labels]
    return given, probabilities.argmax(axis=1), probabilities.max(axis=1)

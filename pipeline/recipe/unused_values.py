"""Finds values of a recipe that have no effect."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from pipeline.config import Config, Finding, KeyPath, unwrap_single_key
from pipeline.data.image_source import augmentation_of
from pipeline.models.architectures import ARCHITECTURES
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.used_optimizers import UsedSchedule, used_optimizers, used_schedules
from pipeline.training.optimizers import OptimizerConfig, default_optimizer
from pipeline.training.schedules import PiecewiseSchedule, PlateauSchedule

_ARCHITECTURE: KeyPath = ("model", "architecture")


class _Unused(NamedTuple):
    """A value without effect, the reason, and the key whose value is the cause."""

    path: KeyPath
    reason: str
    cause: KeyPath


def unused_values(recipe: Recipe, varied: Collection[KeyPath] = ()) -> Iterator[Finding]:
    """Yield the values that have no effect, unless they are the defaults.

    Args:
        recipe: the recipe.
        varied: the paths that a search varies. What is without effect because of one of their
            values may have one with another.
    """
    for unused in _unused(recipe):
        if not any(_overlap(path, unused.cause) for path in varied):
            yield unused.path, f"has no effect{unused.reason}"


def needs_frozen_base(recipe: Recipe) -> str:
    """Return why a key of transfer learning cannot be used with the model of a recipe."""
    if recipe.model.has_base:
        return "needs a frozen base, model.train_base: false."
    names = [name for name, config in ARCHITECTURES.items() if config.has_base]
    return (
        f"needs a model with a frozen base, model.architecture: {' or '.join(names)}. "
        f"Received {recipe.model.architecture}."
    )


def _overlap(first: KeyPath, second: KeyPath) -> bool:
    return all(a == b for a, b in zip(first, second, strict=False))


def _is_default(section: Config, key: str) -> bool:
    return bool(getattr(section, key) == type(section).model_fields[key].default)


def _unused(recipe: Recipe) -> Iterator[_Unused]:
    yield from _of_learning_rule(recipe)
    yield from _of_hidden_layers(recipe)
    yield from _of_batch_norm(recipe)
    yield from _of_listed_layers(recipe)
    yield from _of_training(recipe)
    yield from _of_fine_tuning(recipe)
    for path, optimizer in used_optimizers(recipe):
        yield from _of_averaging(path, optimizer)
        yield from _of_one_optimizer(recipe, path, optimizer)
    for schedule in used_schedules(recipe):
        yield from _of_schedule(schedule)


def _of_listed_layers(recipe: Recipe) -> Iterator[_Unused]:
    if recipe.model.lists_layers:
        for key, layer in (("dropout", "Dropout"), ("batch_norm", "BatchNormalization")):
            if not _is_default(recipe.regularization, key):
                reason = f" with {recipe.model.architecture}. Add {layer} to model.layers."
                yield _Unused(("regularization", key), reason, _ARCHITECTURE)


def _of_batch_norm(recipe: Recipe) -> Iterator[_Unused]:
    if recipe.model.always_normalizes and recipe.regularization.batch_norm:
        reason = f": {recipe.model.architecture} always has batch normalization."
        yield _Unused(("regularization", "batch_norm"), reason, _ARCHITECTURE)


def _of_learning_rule(recipe: Recipe) -> Iterator[_Unused]:
    if recipe.model.learns_by_gradient:
        return
    reason = f" with {recipe.model.architecture}, which learns by a rule of its own."
    if recipe.optimizer != default_optimizer():
        yield _Unused(("optimizer",), reason, _ARCHITECTURE)
    used: list[tuple[str, Config, str]] = [("training", recipe.training, "loss")]
    keys = ("dropout", "batch_norm", "label_smoothing", "initializer")
    used += [("regularization", recipe.regularization, key) for key in keys]
    for name, section, key in used:
        if not _is_default(section, key):
            yield _Unused((name, key), reason, _ARCHITECTURE)


def _of_hidden_layers(recipe: Recipe) -> Iterator[_Unused]:
    model = recipe.model
    if model.has_hidden_layers or model.lists_layers or not model.learns_by_gradient:
        return
    reason = ": the model has no hidden layers. Set model.hidden."
    used: list[tuple[str, Config, str]] = [("regularization", recipe.regularization, "batch_norm")]
    if not recipe.model.has_dropout:
        used.append(("regularization", recipe.regularization, "dropout"))
    if "activation" in type(recipe.model).model_fields:
        used.append(("model", recipe.model, "activation"))
    for name, section, key in used:
        if not _is_default(section, key):
            yield _Unused((name, key), reason, ("model", "hidden"))


def _of_training(recipe: Recipe) -> Iterator[_Unused]:
    training, stopping = recipe.training, recipe.training.early_stopping
    base = f": it {needs_frozen_base(recipe)}"
    base_cause: KeyPath = ("model", "train_base") if recipe.model.has_base else _ARCHITECTURE
    if training.class_weight == "balanced" and recipe.data.sampling == "balanced":
        reason = " with data.sampling: balanced. Remove one of them."
        yield _Unused(("training", "class_weight"), reason, ("data", "sampling"))
    if not _is_default(training, "fold_repeats") and training.folds is None:
        reason = " without training.folds."
        yield _Unused(("training", "fold_repeats"), reason, ("training", "folds"))
    if training.compare_optimizers and "surface" not in training.record:
        reason = " without surface in training.record."
        yield _Unused(("training", "compare_optimizers"), reason, ("training", "record"))
    if not _is_default(training, "views"):
        path = ("training", "views")
        if not recipe.model.has_frozen_base:
            yield _Unused(path, base, base_cause)
        elif not augmentation_of(recipe.data):
            yield _Unused(path, " without data.augmentation.", ("data", "augmentation"))
    if not recipe.tracking.promote and not _is_default(recipe.tracking, "promote_on"):
        path = ("tracking", "promote_on")
        yield _Unused(path, " without tracking.promote: better.", ("tracking", "promote"))
    if not recipe.model.has_frozen_base:
        for key in ("cache_gb", "engine", "storage"):
            if not _is_default(recipe.runtime, key):
                yield _Unused(("runtime", key), base, base_cause)
        if recipe.runtime.precision == "int8":
            yield _Unused(("runtime", "precision"), base, base_cause)
    if stopping and stopping.patience is None and not _is_default(stopping, "min_delta"):
        path = ("training", "early_stopping")
        yield _Unused((*path, "min_delta"), f" if {path[1]}.patience is null.", (*path, "patience"))


def _of_fine_tuning(recipe: Recipe) -> Iterator[_Unused]:
    fine_tune = recipe.training.fine_tune
    if not fine_tune or not fine_tune.optimizer:
        return
    path: KeyPath = ("training", "fine_tune")
    for key in ("learning_rate", "schedule"):
        if not _is_default(fine_tune, key):
            reason = f" with training.fine_tune.optimizer. Set training.fine_tune.optimizer.{key}."
            yield _Unused((*path, key), reason, (*path, "optimizer"))


def _of_averaging(path: KeyPath, optimizer: OptimizerConfig) -> Iterator[_Unused]:
    use_ema = (*path, "use_ema")
    if not optimizer.use_ema:
        for key in ("ema_momentum", "ema_overwrite_frequency"):
            if not _is_default(optimizer, key):
                reason = " without moving average. Set optimizer.use_ema: true."
                yield _Unused((*path, key), reason, use_ema)
    elif optimizer.ema_momentum == 0:
        reason = ": with ema_momentum 0, the moving average is the last value."
        yield _Unused(use_ema, reason, (*path, "ema_momentum"))


def _of_one_optimizer(recipe: Recipe, path: KeyPath, optimizer: Any) -> Iterator[_Unused]:
    if optimizer.name == "sgd" and optimizer.nesterov and not optimizer.momentum:
        reason = " without momentum. Set optimizer.momentum."
        yield _Unused((*path, "nesterov"), reason, (*path, "momentum"))
    if optimizer.name == "adafactor" and not optimizer.relative_step:
        reason = ": Keras limits the learning rate to 1/√step with either value."
        yield _Unused((*path, "relative_step"), reason, (*path, "name"))
    # A base from a file may have embeddings.
    base_learns = recipe.model.has_base and not recipe.model.has_frozen_base
    is_fixed = not recipe.training.fine_tune and not base_learns
    if optimizer.name == "muon" and not optimizer.exclude_embeddings and is_fixed:
        reason = ": the model has no embeddings."
        yield _Unused((*path, "exclude_embeddings"), reason, _ARCHITECTURE)


def _of_schedule(used: UsedSchedule) -> Iterator[_Unused]:
    name, schedule = unwrap_single_key(used.entry)
    path, epochs, rate = (*used.path, name), used.epochs, used.learning_rate
    if isinstance(schedule, PiecewiseSchedule):
        for i, boundary in enumerate(schedule.boundaries):
            if boundary >= epochs:
                reason = f": training ends after {epochs} epochs."
                yield _Unused((*path, "boundaries", i), reason, used.epochs_path)
    elif isinstance(schedule, PlateauSchedule):
        if schedule.min_lr >= rate:
            reason = f": min_lr is not below the learning rate, {rate:g}."
            yield _Unused(path, reason, (*used.path[:-1], "learning_rate"))
        elif schedule.patience + 1 >= epochs:
            reason = f": training ends after {epochs} epochs, before the first reduction."
            yield _Unused((*path, "patience"), reason, used.epochs_path)

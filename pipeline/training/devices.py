"""The devices that a run uses, and their precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from pipeline.errors import TrainingError
from pipeline.training.training_config import DtypePolicy, RuntimeConfig


@dataclass(frozen=True)
class Devices:
    """The devices that a model is trained on.

    Attributes:
        names: such as `CPU:0`.
        precision: the Keras dtype policy.
        strategy: divides batches among several devices; None for a single one.
        on_gpu: whether the devices are GPUs.
        description: one sentence for the log.
    """

    names: tuple[str, ...]
    precision: DtypePolicy
    strategy: tf.distribute.Strategy | None
    on_gpu: bool
    description: str

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Set the dtype policy of the models that are built in this context."""
        previous = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.precision)
        try:
            yield
        finally:
            keras.config.set_dtype_policy(previous)


def find_devices(runtime: RuntimeConfig) -> Devices:
    """Return the devices that a recipe asks for.

    Raises:
        TrainingError: if the machine has no such device.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if runtime.devices == "auto":
        names = tuple(f"GPU:{i}" for i in range(len(gpus))) or ("CPU:0",)
    elif runtime.devices == "cpu":
        names = ("CPU:0",)
    else:
        names = tuple(dict.fromkeys(name.upper() for name in runtime.devices))
        _check_available(names, len(gpus))
    on_gpu = names[0].startswith("GPU")
    used_gpus = [gpus[int(name[4:])] for name in names if on_gpu]
    with contextlib.suppress(RuntimeError):  # an earlier run in this process used the GPUs
        tf.config.set_visible_devices(used_gpus, "GPU")
    _split_cpu(names)
    precision, reason = _precision(runtime, used_gpus)
    gpu_names = ", ".join(str(_details(gpu).get("device_name", gpu.name)) for gpu in gpus)
    # TensorFlow numbers the visible devices from 0.
    visible = [f"/{name[:3]}:{i}" for i, name in enumerate(names)]
    division = f", each batch divided by {len(names)}" if len(names) > 1 else ""
    return Devices(
        names=names,
        precision=precision,
        strategy=tf.distribute.MirroredStrategy(visible) if len(names) > 1 else None,
        on_gpu=on_gpu,
        description=(
            f"Found {gpu_names or 'no GPU'}. "
            f"Using {', '.join(names)}{division}, in {precision}{reason}."
        ),
    )


def _check_available(names: tuple[str, ...], gpu_count: int) -> None:
    kinds = {name[:3] for name in names}
    absent = [name for name in names if name[:3] == "GPU" and int(name[4:]) >= gpu_count]
    if absent or len(kinds) > 1:
        available = ", ".join(f"gpu:{i}" for i in range(gpu_count)) or "no GPU"
        raise TrainingError(
            "runtime.devices: expected devices of one kind that this machine has "
            f"({available}, or any number of parts of the CPU such as cpu:0 and cpu:1). "
            f"Received: {', '.join(names).lower()}."
        )


def _split_cpu(names: tuple[str, ...]) -> None:
    """Divide the CPU into logical devices if the names ask for more than one."""
    count = max((int(name[4:]) for name in names if name.startswith("CPU")), default=0) + 1
    if count == 1:
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        )
    except RuntimeError:
        if len(tf.config.list_logical_devices("CPU")) < count:
            raise TrainingError(
                "runtime.devices: TensorFlow can divide the CPU only before its first use in a "
                "process. Start another process for this recipe."
            ) from None


def _precision(runtime: RuntimeConfig, gpus: list[Any]) -> tuple[DtypePolicy, str]:
    if runtime.precision == "int8":
        return "float32", ", and int8 for a frozen base"
    if runtime.precision != "auto":
        return runtime.precision, " as set in the recipe"
    # Tensor cores support bfloat16 from compute capability 8.0 and float16 from 7.0.
    capability = min((_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus), default=())
    if capability >= (8, 0):
        return "mixed_bfloat16", ""
    if capability >= (7, 0):
        return "mixed_float16", ""
    return "float32", ""


def _details(gpu: Any) -> dict[str, Any]:
    return dict(tf.config.experimental.get_device_details(gpu))


@contextlib.contextmanager
def translate_unsupported_precision(devices: Devices) -> Iterator[None]:
    """Say which key causes an error of TensorFlow that lacks a precision.

    Raises:
        TrainingError: instead of that error.
    """
    try:
        yield
    except (tf.errors.AbortedError, tf.errors.UnimplementedError) as error:
        if devices.precision == "float32":
            raise
        raise TrainingError(
            f"runtime.precision: TensorFlow cannot compute this model in {devices.precision} on "
            f"{', '.join(devices.names)}, which may lack the instructions. Set it to float32."
        ) from error

"""Which devices a run uses, and in which precision."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from pipeline.errors import TrainingError
from pipeline.training.training_config import DtypePolicy, RuntimeConfig


@dataclass(frozen=True)
class Devices:
    """What a model is built and trained on.

    Attributes:
        names: such as `CPU:0`.
        precision: the Keras dtype policy.
        strategy: a tf.distribute strategy where there are several devices.
        on_gpu: whether they are GPUs.
        description: one line for people.
    """

    names: tuple[str, ...]
    precision: DtypePolicy
    strategy: Any
    on_gpu: bool
    description: str

    @contextlib.contextmanager
    def scope(self) -> Any:
        """Build models in here."""
        keras.config.set_dtype_policy(self.precision)
        with self.strategy.scope() if self.strategy else contextlib.nullcontext():
            yield


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
    used = [gpus[int(name[4:])] for name in names if on_gpu]
    with contextlib.suppress(RuntimeError):  # too late once a run has used the GPU: it is set then
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.set_visible_devices(used, "GPU")
    _split_cpu(names)
    precision, why = _precision(runtime, used)
    found = ", ".join(str(_details(gpu).get("device_name", gpu.name)) for gpu in gpus)
    several = f", each batch divided by {len(names)}" if len(names) > 1 else ""
    return Devices(
        names=names,
        precision=precision,
        # Once others are hidden, TensorFlow counts the devices in use from 0.
        strategy=tf.distribute.MirroredStrategy([f"/{names[0][:3]}:{i}" for i in range(len(names))])
        if len(names) > 1
        else None,
        on_gpu=on_gpu,
        description=(
            f"Found {found or 'no GPU'}. Using {', '.join(names)}{several}, in {precision}{why}."
        ),
    )


def _check_available(names: tuple[str, ...], gpu_count: int) -> None:
    kinds = {name[:3] for name in names}
    absent = [name for name in names if name[:3] == "GPU" and int(name[4:]) >= gpu_count]
    if absent or len(kinds) > 1:
        available = ", ".join(f"gpu:{i}" for i in range(gpu_count)) or "no GPU"
        raise TrainingError(
            "runtime.devices: expected devices of one kind that this machine has "
            f"({available}, and the CPU in as many parts as you like). "
            f"Received: {', '.join(names).lower()}."
        )


def _split_cpu(names: tuple[str, ...]) -> None:
    """Divide the CPU into logical devices where more than one is asked for."""
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
                "runtime.devices: the CPU can only be divided before its first use in a process."
            ) from None


def _precision(runtime: RuntimeConfig, gpus: list[Any]) -> tuple[DtypePolicy, str]:
    if runtime.precision != "auto":
        return runtime.precision, " as the recipe says"
    # Tensor cores: bfloat16 from compute capability 8.0 on, float16 from 7.0 on.
    capability = min((_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus), default=())
    if capability >= (8, 0):
        return "mixed_bfloat16", ""
    if capability >= (7, 0):
        return "mixed_float16", ""
    return "float32", ""


def _details(gpu: Any) -> dict[str, Any]:
    return dict(tf.config.experimental.get_device_details(gpu))

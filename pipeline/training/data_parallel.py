"""Data parallelism: each batch is divided among several devices, as torch.nn.DataParallel does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

_ACTIVATIONS = {"Softmax": keras.ops.softmax, "Sigmoid": keras.ops.sigmoid}


@dataclass
class _Batch:
    """The batch that is divided at present: `size` examples on all devices, an int32 scalar."""

    size: Any = None


class DataParallel(keras.Model):
    """Trains and evaluates a model on several devices, with the results of a single one.

    The forward pass runs on one part of the batch per device, and its gradients are computed where
    it ran. Everything else happens once: the predictions are concatenated, so that the loss and the
    metrics are those of the whole batch, and the optimizer updates the only copy of the weights
    with the gradient of the whole batch. Keras under a `tf.distribute` strategy averages the losses
    of parts of different sizes, clips the gradient of each part, and fails on some sizes.

    Args:
        model: a functional model. Its weights are trained in place.
        strategy: the devices.

    Example:

    ```python
    parallel = DataParallel(model, tf.distribute.MirroredStrategy(["GPU:0", "GPU:1"]))
    parallel.compile(optimizer="adam", loss="categorical_crossentropy", jit_compile=False)
    parallel.fit(batches)
    model.save("model.keras")
    ```
    """

    def __init__(self, model: keras.Model, strategy: tf.distribute.Strategy) -> None:
        super().__init__(name=model.name, dtype=model.dtype_policy, autocast=False)
        self._batch = batch = _Batch()
        self._strategy = strategy

        def synchronized(layer: keras.Layer) -> keras.Layer:
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
                return SynchronizedBatchNormalization(layer, batch)
            return layer

        # The clone shares every layer, and so every weight, with the model.
        self._replica = keras.models.clone_model(model, clone_function=synchronized, recursive=True)
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> tf.Tensor:
        """Return the predictions for a batch, in its order. It must be called in a tf.function."""
        size = self._batch.size = tf.shape(tf.nest.flatten(x)[0])[0]
        replicas = self._strategy.num_replicas_in_sync

        @tf.autograph.experimental.do_not_convert
        def predict_part() -> tf.Tensor:
            with tf.device("CPU:0"):  # where the batch is: a device receives its own part alone
                i = tf.distribute.get_replica_context().replica_id_in_sync_group
                length, longer = size // replicas, size % replicas
                start = length * i + tf.minimum(i, longer)
                end = start + length + tf.cast(i < longer, tf.int32)
                # A device that has no example repeats the last one, because some kernels fail on
                # empty batches. What it computes is not used.
                start = tf.minimum(start, size - 1)
                part = tf.nest.map_structure(lambda tensor: tensor[start:end], x)
            return self._replica(part, training=training)

        parts = self._strategy.experimental_local_results(self._strategy.run(predict_part))
        # Keras computes cross-entropy from the logits if the predictions are directly the output of
        # a softmax or sigmoid, so they must be here too: probabilities lose precision near 0.
        activation = _ACTIVATIONS.get(parts[0].op.type)
        if activation:
            parts = [part.op.inputs[0] for part in parts]
        predictions = tf.concat(parts, axis=0)[:size]
        return activation(predictions) if activation else predictions

    def train_step(self, data: tuple[Any, ...]) -> dict[str, Any]:
        """Update the weights once, and return the metrics so far."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        predictions = self(x, training=True)
        loss = self.compute_loss(x=x, y=y, y_pred=predictions, sample_weight=sample_weight)
        variables = self.trainable_variables
        # Unlike those of a tape, these gradients are computed on the devices of the forward pass.
        gradients = tf.gradients(
            self.optimizer.scale_loss(loss), [variable.value for variable in variables]
        )
        self.optimizer.apply(gradients, variables)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=self._batch.size)
            else:
                metric.update_state(y, predictions)
        return self.get_metrics_result()


class SynchronizedBatchNormalization(keras.layers.Wrapper):
    """Batch normalization with the statistics of the whole batch, whatever part a device has.

    Keras's own `synchronized=True` needs weights that are mirrored on every device.

    Args:
        layer: the keras.layers.BatchNormalization whose weights it uses and updates.
        batch: the batch whose parts it is called with.
    """

    def __init__(self, layer: keras.layers.BatchNormalization, batch: _Batch) -> None:
        super().__init__(layer, name=layer.name, dtype=layer.dtype_policy)
        self._batch = batch

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        """Return the normalized part of this device, and update the moving statistics."""
        layer = self.layer
        if not training:
            return layer(inputs, training=False, mask=mask)
        # As Keras does in mixed precision.
        x = keras.ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        channel_axis = layer.axis % len(x.shape)
        axes = [axis for axis in range(len(x.shape)) if axis != channel_axis]
        length = tf.reduce_prod(tf.gather(tf.shape(x, out_type=tf.int64), axes))
        count = self._sum(tf.cast(length, x.dtype))
        mean = self._sum(tf.reduce_sum(x, axes, keepdims=True)) / count
        # In a second pass: the mean of the squares minus the squared mean is inexact in float32.
        variance = self._sum(tf.reduce_sum(tf.square(x - mean), axes, keepdims=True)) / count
        mean, variance = tf.squeeze(mean, axes), tf.squeeze(variance, axes)
        self._update_moving_statistics(mean, variance)
        outputs = keras.ops.batch_normalization(
            x,
            mean,
            variance,
            axis=layer.axis,
            offset=layer.beta,
            scale=layer.gamma,
            epsilon=layer.epsilon,
        )
        return tf.cast(outputs, self.compute_dtype)

    def _sum(self, value: tf.Tensor) -> tf.Tensor:
        """Return the sum of the values of the devices that have examples."""
        size = self._batch.size

        @tf.autograph.experimental.do_not_convert
        def add(strategy: tf.distribute.Strategy, value: Any) -> tf.Tensor:
            return tf.reduce_sum(tf.stack(strategy.experimental_local_results(value))[:size], 0)

        # `all_reduce` would do, if its gradient could be computed outside of one device's scope.
        return tf.distribute.get_replica_context().merge_call(add, args=(value,))

    def _update_moving_statistics(self, mean: tf.Tensor, variance: tf.Tensor) -> None:
        """Update the moving statistics once, with the values of the first device."""
        layer = self.layer

        @tf.autograph.experimental.do_not_convert
        def update(strategy: tf.distribute.Strategy, *values: Any) -> None:
            moving_statistics = (layer.moving_mean, layer.moving_variance)
            for moving, value in zip(moving_statistics, values, strict=True):
                first = strategy.experimental_local_results(value)[0]
                moving.assign(moving * layer.momentum + first * (1.0 - layer.momentum))

        tf.distribute.get_replica_context().merge_call(update, args=(mean, variance))

"""Batch normalization for training, with the backend's fast kernel where it has one. Notebook 06."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def batch_normalization() -> type[keras.layers.BatchNormalization]:
    """Keras's batch normalization, with TensorFlow's fused kernel where TensorFlow is the backend.

    The public layer computes mean, variance and output in separate float32 passes; the fused kernel
    does it in one pass and stays in bfloat16. Same formula, same variables.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return keras.layers.BatchNormalization
    import tensorflow as tf

    class FusedBatchNormalization(keras.layers.BatchNormalization):
        """Batch normalization over the last axis of (N, H, W, C), in one pass."""

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            if not training:
                return super().call(inputs, training=False)
            gamma, beta = tf.cast(self.gamma, tf.float32), tf.cast(self.beta, tf.float32)
            out, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                inputs, gamma, beta, epsilon=self.epsilon, is_training=True
            )
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + tf.cast(now, moving.dtype) * (1 - self.momentum))
            return out

    return FusedBatchNormalization

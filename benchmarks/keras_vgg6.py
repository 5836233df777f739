"""The paper's network as its notebook builds it in Keras, for the two benchmarks that stand beside
it."""

import importlib.util
import os
import sys
from typing import Any


def refuse_without_keras() -> None:
    """End with a clear sentence where TensorFlow is not installed."""
    if importlib.util.find_spec("tensorflow") is None:
        sys.exit(
            "this benchmark compares with Keras, which is not installed: pip install tensorflow-cpu"
        )


def paper_network(answers: int, *, seed: int) -> Any:
    """VGG-6 in Keras, float32, new weights. Call it in a process of its own: TensorFlow and torch
    do not share one."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((128, 128, 3)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(4),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(answers, activation="sigmoid"),
        ]
    )

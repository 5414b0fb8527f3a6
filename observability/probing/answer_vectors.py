"""Store the vectors of free-text answers in records: the name of the encoder that made them, and their numbers with eight bits each.

With eight bits, a cosine changes by less than 0.01, and a vector needs a tenth of the space of decimal numbers.
"""

import base64
import binascii
from typing import Any

import numpy as np

from observability.stats.arrays import Floats

ENCODER, EMBEDDING = "encoder", "embedding"
"""Additional fields of an answer: the name of the encoder, and the vector that it made."""
STEPS = 127
"""Largest number of a packed vector."""


def packed_vector(vector: Floats) -> str:
    """A vector as text: the direction in whole numbers from -STEPS to STEPS, in Base64."""
    largest = float(np.abs(vector).max()) or 1.0
    return base64.b64encode(np.rint(vector / largest * STEPS).astype(np.int8).tobytes()).decode("ascii")


def unpacked_vector(text: Any) -> Floats | None:
    """The vector that a text holds, scaled to length 1; None if the text holds none."""
    try:
        numbers = np.frombuffer(base64.b64decode(text, validate=True), np.int8).astype(np.float64)
    except (binascii.Error, TypeError, ValueError):
        return None
    length = float(np.linalg.norm(numbers))
    return numbers / length if length > 0 else None

"""128-bit powers of five for converting decimal digits into the nearest double.

After Daniel Lemire, Number parsing at a gigabyte per second, 2021: for each power q from -342 to 308 the first 128 bits of 5^q, rounded
down (up for negative powers, whose expansion is infinite).
"""

import numpy as np

TENS = np.array([float(10**power) for power in range(23)])
"""Powers of ten that a double holds exactly."""


def _first_bits(power: int) -> int:
    """The first 128 bits of 5^power."""
    five = 5 ** abs(power)
    if power >= 0:
        return five << (128 - five.bit_length()) if five.bit_length() <= 128 else five >> (five.bit_length() - 128)
    size = (five - 1).bit_length()
    bits = (1 << (size + 127 if power >= -27 else 2 * size + 128)) // five + 1
    return bits >> max(0, bits.bit_length() - 128)


_BITS = [_first_bits(power) for power in range(-342, 309)]
POWERS_HIGH = np.array([bits >> 64 for bits in _BITS], dtype=np.uint64)
POWERS_LOW = np.array([bits & (2**64 - 1) for bits in _BITS], dtype=np.uint64)

"""A remote file that can be read and searched. Each read is one range of limited size."""

import io
import os
from abc import abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined]  # Python 3.12 and later; the checks are of 3.11


class RangedFile(io.RawIOBase):
    """The content of a remote file whose size is known."""

    def __init__(self, size: int) -> None:
        self.size, self.place = size, 0

    @abstractmethod
    def range_of(self, start: int, length: int) -> "Buffer":
        """The bytes of the file from a position on. Raises StoreBrokenError if they cannot be read."""

    def readable(self) -> bool:
        """Return True: the file can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: the file can be read from any position."""
        return True

    def tell(self) -> int:
        """The current position in bytes."""
        return self.place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position and return it."""
        self.place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: self.size}[whence]
        return self.place

    def readinto(self, buffer: "Buffer") -> int:
        """Read the next bytes into a buffer; 0 at the end."""
        view = memoryview(buffer)
        length = max(min(len(view), self.size - self.place), 0)
        if not length:
            return 0
        found = memoryview(self.range_of(self.place, length))
        view[: len(found)] = found
        self.place += len(found)
        return len(found)

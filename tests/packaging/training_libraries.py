"""Runs the callbacks of PyTorch, Lightning, Keras and Transformers with the real libraries: `python tests/packaging/training_libraries.py
[PYTHON]`.

Installs the libraries into a clean environment without any other package, and runs tests/client/callbacks_for_real.py there. Part of `make
test-long`: torch has 200 MB without CUDA, if pip finds such a wheel (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL), otherwise some GB.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.clean_environment import installed, must

LIBRARIES = ("torch==2.13.*", "lightning==2.6.*", "keras==3.15.*", "transformers==5.24.*", "accelerate", "numpy")


def main(python: str) -> None:
    """Install the libraries, and print what was recorded for each."""
    with tempfile.TemporaryDirectory() as name:
        made = installed(python, Path(name), "libraries", *LIBRARIES)
        print(
            must(
                [made, ROOT / "tests" / "client" / "callbacks_for_real.py"],
                Path(name),
                PYTHONPATH=str(ROOT),
                HF_HUB_OFFLINE="1",
                TMPDIR=name,
            ),
            end="",
        )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else sys.executable)

"""Runs the tests that compare attacks, membership, privacy losses, pictures and annotators with other libraries.

`python tests/packaging/oracles.py` installs the libraries into a separate environment, without their dependencies (torch is not needed),
and fails if a test is skipped. Part of `make test-long`.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.clean_environment import installed, must

LIBRARIES = (
    "adversarial-robustness-toolbox==1.20.*", "sacroml==2.0.*", "opacus==1.6.*", "dp-accounting==0.6.*", "scikit-image==0.26.*",
    "crowd-kit==1.4.*", "krippendorff==0.9.*",
)  # fmt: skip
BROUGHT = ("absl-py", "attrs", "dm-tree", "mpmath", "sortedcontainers", "imageio", "tifffile", "networkx", "lazy-loader", "nltk", "regex")
TESTS = (
    "tests/worker/test_audit_robustness.py",
    "tests/worker/test_audit_membership.py",
    "tests/stats/test_privacy_loss.py",
    "tests/stats/test_fidelity.py",
    "tests/stats/test_crowd_labels.py",
    "tests/stats/test_agreement.py",
)


def main() -> None:
    """Install the libraries, run the tests and print their result."""
    with tempfile.TemporaryDirectory() as name:
        made = installed(sys.executable, Path(name), "oracles", "--no-deps", *LIBRARIES, *BROUGHT)
        (folder,) = made.parents[1].glob("lib/python*/site-packages")
        said = must([sys.executable, "-m", "pytest", "-q", "-rs", *TESTS], ROOT, PYTHONPATH=str(folder))
    if "SKIPPED" in said:
        raise SystemExit(f"a comparison was skipped\n{said}")
    print(said, end="")


if __name__ == "__main__":
    main()

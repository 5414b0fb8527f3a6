"""Which modules a check in a new process imports before it computes anything."""

import subprocess
import sys


def test_the_analyzers_import_no_heavy_part_of_a_library() -> None:
    """Importing these takes half a second, even in a check without changes, so they are imported only where they are used."""
    heavy = {"scipy.stats", "scipy.signal", "scipy.optimize", "scipy.sparse", "scipy.ndimage", "shap", "lightgbm", "sklearn", "statsmodels"}
    program = f"import sys; from observability.analyzers import discover; discover(); print(*({heavy!r} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []

"""What a check from a new process imports before anything is computed."""

import subprocess
import sys


def test_the_analyzers_import_no_heavy_part_of_a_library() -> None:
    """Half a second of a check in which nothing has changed: they are imported where they are used."""
    heavy = {"scipy.stats", "scipy.signal", "scipy.optimize", "scipy.sparse", "scipy.ndimage", "shap", "lightgbm", "sklearn", "statsmodels"}
    program = f"import sys; from observability.analyzers import discover; discover(); print(*({heavy!r} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []

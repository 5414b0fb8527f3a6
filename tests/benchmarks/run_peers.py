"""How long does another library take to compute drift of the same rows? bench_drift.py runs this file with that library's own Python.

    PATH/python run_peers.py evidently|nannyml FOLDER

FOLDER holds reference.parquet and current.parquet. Prints seconds, the megabytes by which the process grew at its peak, and the version.
Imports and reading of the files are not counted.
"""

import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path


def evidently(reference, current):
    """Evidently's DataDriftPreset with its defaults, which choose a test for each column."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = [name for name in reference.columns if name != "at"]
    definition = DataDefinition(
        numerical_columns=[name for name in names if name.startswith("n")],
        categorical_columns=[name for name in names if name.startswith("c")],
    )
    sides = [Dataset.from_pandas(frame[names], data_definition=definition) for frame in (current, reference)]
    return lambda: Report([DataDriftPreset()]).run(*sides).dict()


def nannyml(reference, current):
    """NannyML's univariate calculator by day: Jensen-Shannon, KS and Wasserstein for numbers, Jensen-Shannon and L-infinity for
    categories.
    """
    import nannyml as nml

    names = [name for name in reference.columns if name != "at"]
    calculator = nml.UnivariateDriftCalculator(
        column_names=names,
        treat_as_categorical=[name for name in names if name.startswith("c")],
        timestamp_column_name="at",
        continuous_methods=["jensen_shannon", "kolmogorov_smirnov", "wasserstein"],
        categorical_methods=["jensen_shannon", "l_infinity"],
        chunk_period="D",
    )
    return lambda: calculator.fit(reference).calculate(current)


def main(name, folder):
    """Run one peer, and print its seconds, megabytes and version."""
    import pandas as pd

    reference, current = (pd.read_parquet(Path(folder) / f"{side}.parquet") for side in ("reference", "current"))
    work = {"evidently": evidently, "nannyml": nannyml}[name](reference, current)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    work()
    print(time.perf_counter() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, version(name))


if __name__ == "__main__":
    main(*sys.argv[1:])

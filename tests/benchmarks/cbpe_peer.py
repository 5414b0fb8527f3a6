"""What does NannyML's CBPE estimate from the same rows, and how long does it take? bench_cbpe.py runs this file with NannyML's own Python.

    PATH/python cbpe_peer.py FOLDER

FOLDER holds reference.parquet and served.parquet. Writes nannyml.json (for each month and metric: the estimate, its sampling error and the
realised value), and prints seconds and the version. Imports and reading of the files are not counted.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

warnings.filterwarnings("ignore")
METRICS = ["accuracy", "precision", "recall", "f1", "roc_auc", "average_precision"]


def main(folder):
    """Fits on the reference, and estimates by month."""
    import nannyml as nml
    import pandas as pd

    reference, served = (pd.read_parquet(Path(folder) / f"{side}.parquet") for side in ("reference", "served"))
    start = time.perf_counter()
    estimator = nml.CBPE(
        y_pred_proba="score", y_pred="decision", y_true="label", timestamp_column_name="at", problem_type="classification_binary",
        metrics=METRICS, chunk_period="M",
    )  # fmt: skip
    estimator.fit(reference)
    found = estimator.estimate(served).filter(period="analysis").to_df(multilevel=True)
    seconds = time.perf_counter() - start
    answer = {}
    for _, each in found.iterrows():
        month = str(each["chunk", "key"])
        answer[month] = {
            name: [float(each[name, "value"]), float(each[name, "sampling_error"]), float(each[name, "realized"])] for name in METRICS
        }
    (Path(folder) / "nannyml.json").write_text(json.dumps(answer))
    print(seconds, version("nannyml"))


if __name__ == "__main__":
    main(sys.argv[1])

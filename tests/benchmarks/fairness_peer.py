"""What does fairlearn compute from the same rows, and how long does it take? bench_fairness.py runs this file with fairlearn's own Python.

    PATH/python fairness_peer.py FOLDER

FOLDER holds rows.parquet. Writes fairlearn.json with the rates of every group and the differences; prints seconds and the version.
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd
from fairlearn import __version__, metrics

SENSITIVE = ["sex", "race", "region"]


def main(folder):
    """Times MetricFrame with five rates over three crossed sensitive features, without bootstrap."""
    from sklearn.metrics import precision_score

    rows = pd.read_parquet(Path(folder) / "rows.parquet")
    wanted = {
        "selection_rate": metrics.selection_rate,
        "true_positive_rate": metrics.true_positive_rate,
        "false_positive_rate": metrics.false_positive_rate,
        "precision": precision_score,
        "n": metrics.count,
    }
    start = time.perf_counter()
    found = metrics.MetricFrame(metrics=wanted, y_true=rows["label"], y_pred=rows["decision"], sensitive_features=rows[SENSITIVE])
    by_group = found.by_group
    seconds = time.perf_counter() - start
    both = {"y_true": rows["label"], "y_pred": rows["decision"], "sensitive_features": rows[SENSITIVE]}
    differences = {
        "demographic_parity_difference": metrics.demographic_parity_difference(**both),
        "demographic_parity_ratio": metrics.demographic_parity_ratio(**both),
        "equalized_odds_difference": metrics.equalized_odds_difference(**both),
        "equal_opportunity_difference": metrics.equal_opportunity_difference(**both),
    }
    groups = {", ".join(map(str, key)): dict(row) for key, row in by_group.to_dict("index").items()}
    (Path(folder) / "fairlearn.json").write_text(json.dumps({"groups": groups, "differences": differences}))
    print(seconds, __version__)


if __name__ == "__main__":
    main(sys.argv[1])

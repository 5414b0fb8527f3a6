"""Figures of the sample's training runs, for pages that have no data yet."""

from pathlib import Path
from typing import Any

import pandas as pd

from observability.dashboard.sample_figures import sample_records

RUN, METRIC = "flights-delay-fold-2", "mae"
PARTS = {f"train_{METRIC}": "training", f"validation_{METRIC}": "held out"}
PROCESSES = "flights-late-mlp-4-processes"
SEARCHED = "validation_log_loss"


def run_curve_figure(folder: Path) -> Any:
    """A chart of the mean absolute error of one sample run by step, on training rows and on held-out rows."""
    from observability.dashboard.charts import runs as charts_runs

    steps = sample_records(folder / "training.jsonl", "step")
    own = steps[steps["run"] == RUN].reset_index(drop=True)
    values = pd.DataFrame(own["metrics"].tolist())
    lines = [
        pd.DataFrame({"run": RUN, "part": part, "step": own["step"], "x": own["step"], "value": values[name]}).dropna()
        for name, part in PARTS.items()
    ]
    frame = pd.concat([line.assign(smoothed=line["value"].ewm(alpha=0.4, adjust=False).mean()) for line in lines], ignore_index=True)
    return charts_runs.training_curve_lines(
        frame, pd.DataFrame(columns=["run", "x", "value", "kind", "what"]), name=METRIC, x="step", log=False
    )


def phase_figure(folder: Path) -> Any:
    """A chart of the mean time of each phase of a step, by process, for one distributed run of the sample."""
    from observability.dashboard.charts import runs as charts_runs

    steps = sample_records(folder / "distributed.jsonl", "step")
    own = steps[(steps["run"] == PROCESSES) & steps["phase_ms"].notna()]
    phases = pd.DataFrame(own["phase_ms"].tolist(), index=own["rank"].astype(int)).groupby(level=0).mean()
    frame = phases.rename_axis("rank").reset_index().melt("rank", var_name="phase", value_name="ms").dropna()
    return charts_runs.phase_bars(frame.assign(rank=frame["rank"].astype(str)))


def search_figure(folder: Path) -> Any:
    """A chart of the held-out loss of each trial of a search in the sample, with the best value so far."""
    from observability.dashboard.charts import studies as charts_studies

    runs = sample_records(folder / "study.jsonl", "run")
    starts = runs[(runs["event"] == "start") & runs["study"].notna()].drop_duplicates("run").set_index("run")
    ends = runs[runs["event"] == "end"].drop_duplicates("run").set_index("run").reindex(starts.index)
    values = [each.get(SEARCHED) if isinstance(each, dict) else None for each in ends["metrics"]]
    frame = pd.DataFrame({"run": starts.index, "trial": range(1, len(starts) + 1), "value": pd.Series(values, dtype=float).to_numpy()})
    again = starts["params"].astype(str).duplicated().to_numpy()
    best = frame["value"].where(~again).cummin().ffill()
    seconds = (ends["at"] - starts["at"]).dt.total_seconds().fillna(0).cumsum().to_numpy()
    frame = frame.assign(seconds=seconds, best=best, repeat=again, chance_low=None, chance_high=None)
    return charts_studies.best_against_budget(frame, SEARCHED)

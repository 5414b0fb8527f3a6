"""Figures about the models, computed from the shipped files with scikit-learn. `python sample_data/measure.py` prints the tables of the
README.

Reads the Parquet files only; the product is not involved, so these figures are an independent check of its pages.
"""

import sys
from pathlib import Path

import pandas as pd
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, roc_auc_score

HERE = Path(__file__).resolve().parent
NEW_YORK = "America/New_York"


def labelled(folder: Path, model: str) -> pd.DataFrame:
    """Reference and served rows that have a label, in one frame with the columns id, at, score, label and part ("reference" or "served")."""
    columns = ["id", "at", "score", "label"]
    reference = pd.read_parquet(folder / f"{model}.reference.parquet")[columns].assign(part="reference")
    served = pd.read_parquet(folder / f"{model}.predictions.parquet")
    if "label" not in served:
        labels = pd.read_parquet(folder / f"{model}.labels.parquet")[["id", "value"]].rename(columns={"value": "label"})
        served = served.merge(labels, on="id", validate="one_to_one")
    return pd.concat([reference, served[columns].assign(part="served")], ignore_index=True)


def delay_by_month(folder: Path) -> pd.DataFrame:
    """flights-delay by local month of the prediction: part, rows, mean absolute error and bias in minutes."""
    rows = labelled(folder, "flights-delay")
    month = rows["at"].dt.tz_convert(NEW_YORK).dt.strftime("%Y-%m")
    found = {
        (part, name): {
            "rows": len(each),
            "mae": mean_absolute_error(each["label"], each["score"]),
            "bias": (each["score"] - each["label"]).mean(),
        }
        for (part, name), each in rows.groupby(["part", month])
    }
    return pd.DataFrame(found).T.rename_axis(["part", "month"]).reset_index()


def binary_by(folder: Path, model: str, threshold: float, period: str) -> pd.DataFrame:
    """A binary model by local period (a strftime format): part, rows, share of positives, accuracy, ROC AUC, log loss."""
    rows = labelled(folder, model)
    zone = NEW_YORK if model.startswith("flights") else "UTC"
    when = rows["at"].dt.tz_convert(zone).dt.strftime(period)
    found = {}
    for (part, name), each in rows.groupby(["part", when]):
        found[part, name] = {
            "rows": len(each),
            "positive": each["label"].mean(),
            "accuracy": accuracy_score(each["label"], each["score"] >= threshold),
            "roc_auc": roc_auc_score(each["label"], each["score"]),
            "log_loss": log_loss(each["label"], each["score"].clip(1e-6, 1 - 1e-6)),
        }
    return pd.DataFrame(found).T.rename_axis(["part", "period"]).reset_index()


def classes_by(folder: Path, model: str, period: str) -> pd.DataFrame:
    """A multiclass model by environment and period (a strftime format): part, rows, accuracy of the most probable class, log loss."""
    served = pd.read_parquet(folder / f"{model}.predictions.parquet", columns=["id", "at", "score", "environment"])
    rows = served.merge(pd.read_parquet(folder / f"{model}.labels.parquet")[["id", "value"]], on="id", validate="one_to_one")
    scores = pd.DataFrame(rows["score"].tolist(), index=rows.index)
    found = {}
    for (part, name), each in rows.groupby(["environment", rows["at"].dt.strftime(period)], sort=False):
        probabilities = scores.loc[each.index]
        found[part, name] = {
            "rows": len(each),
            "accuracy": accuracy_score(each["value"], probabilities.idxmax(axis=1)),
            "log_loss": log_loss(each["value"], probabilities.div(probabilities.sum(axis=1), axis=0), labels=list(scores)),
        }
    return pd.DataFrame(found).T.rename_axis(["part", "period"]).reset_index()


def latency(folder: Path, model: str) -> pd.Series:
    """Milliseconds of the single-row calls: number, median, 99th percentile, largest."""
    found = pd.read_parquet(folder / f"{model}.predictions.parquet", columns=["latency_ms"])["latency_ms"].dropna()
    return pd.Series({"calls": len(found), "p50_ms": found.quantile(0.5), "p99_ms": found.quantile(0.99), "max_ms": found.max()})


def markdown(table: pd.DataFrame, digits: dict[str, int]) -> str:
    """The frame as a Markdown table. digits: number of decimals by column; other columns are shown as whole numbers with thousands
    separators.
    """
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    for row in table.to_dict("records"):
        cells = [value if isinstance(value, str) else f"{value:,.{digits.get(str(name), 0)}f}" for name, value in row.items()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(folder: Path) -> None:
    """Prints every table of the README."""
    shares = {"positive": 3, "accuracy": 3, "roc_auc": 3, "log_loss": 3, "mae": 1, "bias": 1, "p50_ms": 3, "p99_ms": 3, "max_ms": 1}
    print(markdown(delay_by_month(folder), shares), end="\n\n")
    print(markdown(binary_by(folder, "flights-late", 0.35, "%Y-%m"), shares), end="\n\n")
    print(markdown(binary_by(folder, "employment", 0.5, "%Y"), shares), end="\n\n")
    print(markdown(classes_by(folder, "sentiment", "%Y"), shares), end="\n\n")
    names = ("flights-delay", "flights-late", "employment", "sentiment")
    print(markdown(pd.DataFrame([{"model": name, **latency(folder, name)} for name in names]), shares), end="\n\n")
    sizes = [
        {"file": path.name, "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.suffix in (".parquet", ".jsonl", ".txt", ".skops")
    ]
    print(markdown(pd.DataFrame(sizes), {}))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)

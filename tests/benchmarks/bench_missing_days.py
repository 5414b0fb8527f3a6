"""Can a week be judged better by estimating its days whose labels are still to come?

    python tests/benchmarks/bench_missing_days.py [--streams electricity,…] [--models 12] [--weeks 15] [--every-day] [--fresh] [--cache FOLDER]

It uses the models and streams of natural_streams.py. At the end of a week, five of its seven days have labels. Each method of
tests/support/missing_days.py estimates the accuracy of the other two. The plain rule (fell five points, z > 3) is then applied to the whole week,
with the standard error of all its rows; the line `five days` is the plain rule on the labelled days alone. `--every-day` takes every seven
consecutive days as a week, seven times as many. `--fresh` adds a LightGBM model of the labels, fitted on the last 33 labelled days, that says how
often the served model is right on the two days, corrected by its error on the five, each predicted without its own labels (slow).

Two more tables say what is needed: the error of the estimates, reduced to a share of that of the five days; and a random sample of labels of the two
days. Streams that are held back are also counted separately.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from natural_streams import MODELS, STREAMS, model_folders

from tests.support.missing_days import KNOWN_DAYS, MISSING_DAYS, PAST_MEAN_DAYS, WEEK, missing_days_estimates, week_half_width
from tests.support.natural_rates import FALL, alarm_rates, plain_rule, power_at, week_truth

ERROR_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
SAMPLES = (28, 50, 72, 100, 144)
DRAWS = 10
FALSE_ALARMS = 0.02


def model_weeks(folder: Path, every: int, fresh: bool) -> Iterator[dict[str, Any]]:
    """For each week of a model: truth, counts, and the estimates of its last two days."""
    from sklearn.isotonic import IsotonicRegression

    about = json.loads((folder / "about.json").read_text())
    reference, served = (pd.read_parquet(folder / f"{side}.parquet") for side in ("reference", "served"))
    rows = pd.concat([reference, served], ignore_index=True)
    right = ((rows["score"] >= 0.5) == rows["label"].astype(bool)).to_numpy(float)
    confidence = np.maximum(rows["score"], 1 - rows["score"]).to_numpy()
    held = len(reference)
    expected = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(confidence[:held], right[:held]).predict(confidence)
    by_day = pd.DataFrame({"right": right, "expected": expected}).groupby(rows["day"].to_numpy())
    days, rows_of_day = by_day.mean(), list(by_day.indices.values())
    before = reference["day"].nunique()
    coded = rows[about["categories"]].apply(lambda column: column.astype("category").cat.codes)
    inputs = np.column_stack([rows[[*about["numbers"], "score"]], coded])
    for first in range(before, len(days) - WEEK + 1, every):
        daily = [right[place] for place in rows_of_day[first : first + WEEK]]
        estimates = missing_days_estimates(days["right"].to_numpy(), days["expected"].to_numpy(), first)
        if fresh:
            estimates["fresh model"] = fresh_estimate(inputs, rows, right, rows_of_day, first)
        told = week_truth(daily, float(right[:held].mean()))
        known, missing = np.concatenate(daily[:KNOWN_DAYS]), np.concatenate(daily[KNOWN_DAYS:])
        yield {
            "held_back": STREAMS[about["stream"]].held_back,
            "stream": about["stream"],
            "truth": told.truth,
            "accuracy": told.accuracy,
            "reference": (right[:held].sum(), held),
            "known": (known.sum(), known.size),
            "missing": (missing.sum(), missing.size),
            "estimates": estimates,
            "half": week_half_width(days["right"].to_numpy(), first),
        }


def fresh_estimate(inputs: np.ndarray, rows: pd.DataFrame, right: np.ndarray, rows_of_day: list[np.ndarray], first: int) -> float:
    """The share of right predictions on the two days by a new model of the labels, plus its error on the five days by cross-fitting."""
    from lightgbm import LGBMClassifier

    predicted, label = rows["score"].to_numpy() >= 0.5, rows["label"].to_numpy(int)

    def expected(train: list[int], on: np.ndarray) -> np.ndarray:
        place = np.concatenate([rows_of_day[day] for day in train])
        model = LGBMClassifier(
            n_estimators=60,
            learning_rate=0.08,
            num_leaves=15,
            min_child_samples=40,
            n_jobs=1,
            deterministic=True,
            random_state=0,
            verbose=-1,
        )
        chance = model.fit(inputs[place], label[place]).predict_proba(inputs[on])
        return np.where(predicted[on], chance[:, -1], 1 - chance[:, -1])

    labelled = list(range(max(0, first - PAST_MEAN_DAYS), first + KNOWN_DAYS))
    errors = []
    for day in labelled[-KNOWN_DAYS:]:
        on = rows_of_day[day]
        errors.append(right[on] - expected([each for each in labelled if each != day], on))
    two = np.concatenate(rows_of_day[first + KNOWN_DAYS : first + WEEK])
    return float(expected(labelled, two).mean() + np.concatenate(errors).mean())


def whole_week(week: dict, estimate: float) -> float:
    """The accuracy of the week if the two days have the estimated one."""
    (right, known), missing = week["known"], week["missing"][1]
    return (right + estimate * missing) / (known + missing)


def alarms(weeks: list[dict], accuracies: list[float]) -> list[bool]:
    """The plain rule on each week's estimated accuracy, with the number of all its rows."""
    sizes = [week["known"][1] + week["missing"][1] for week in weeks]
    return [plain_rule(value * n, n, *week["reference"])[0] for week, value, n in zip(weeks, accuracies, sizes)]


def line(name: str, weeks: list[dict], accuracies: list[float], raised: list[bool]) -> str:
    """A row of the table."""
    counts = [
        alarm_rates((week["truth"], alarm) for week, alarm in zip(weeks, raised) if week["held_back"] >= only) for only in (False, True)
    ]
    error = 100 * np.sqrt(np.mean([(value - week["accuracy"]) ** 2 for week, value in zip(weeks, accuracies)]))
    sure = [(week["reference"][0] / week["reference"][1] - value, week["truth"] == "degraded")
            for week, value in zip(weeks, accuracies) if week["truth"] != "unsure"]  # fmt: skip
    best = power_at([fall for fall, _ in sure], [bad for _, bad in sure], FALSE_ALARMS)
    said = [f"{each.degraded_alarms} of {each.degraded} ({100 * each.power:.1f} %) | {each.sound_alarms} of {each.sound} ({100 * each.false_alarm_rate:.1f} %)" for each in counts]  # fmt: skip
    return f"| {name} | {error:.2f} | {said[0]} | {100 * best:.0f} % | {said[1]} |"


def table(weeks: list[dict]) -> list[str]:
    """The lines of each method, of the smaller errors, and of samples of labels."""
    known = [week["known"][0] / week["known"][1] for week in weeks]
    five = [plain_rule(*week["known"], *week["reference"])[0] for week in weeks]
    told = [
        "| the two days | error of the week, points | degraded, alarm | sound, alarm | best power at 2 % | held back: degraded | held back: sound |",
        "|---|---|---|---|---|---|---|",
        line("five days", weeks, known, five),
    ]
    for name in weeks[0]["estimates"]:
        values = [whole_week(week, week["estimates"][name]) for week in weeks]
        told.append(line(name, weeks, values, alarms(weeks, values)))
    for share in ERROR_SHARES:
        values = [week["accuracy"] + share * (value - week["accuracy"]) for week, value in zip(weeks, known)]
        told.append(line(f"error times {share:.1f}", weeks, values, alarms(weeks, values)))
    dice = np.random.default_rng(3)
    for size in SAMPLES:
        each = []
        for _ in range(DRAWS):
            for week in weeks:
                right, n = (int(count) for count in week["missing"])
                each.append(whole_week(week, dice.hypergeometric(right, n - right, min(size, n)) / min(size, n)))
        told.append(line(f"{size} labels of the two days, {DRAWS} draws", weeks * DRAWS, each, alarms(weeks * DRAWS, each)))
    return told


def interval_line(weeks: list[dict]) -> str:
    """How often the interval around the five days holds the week's accuracy, and in how many weeks it reaches a fall of five points."""
    known = [week["known"][0] / week["known"][1] for week in weeks]
    holds = np.mean([abs(value - week["accuracy"]) <= week["half"] for value, week in zip(known, weeks)])
    falls = [week["reference"][0] / week["reference"][1] - value for value, week in zip(known, weeks)]
    reaches = alarm_rates((week["truth"], fall + week["half"] >= FALL) for fall, week in zip(falls, weeks))
    median = 100 * np.median([week["half"] for week in weeks])
    return (
        f"The interval around the five days (median ±{median:.1f} points) holds the week's accuracy in {100 * holds:.1f} % of weeks. It reaches five "
        f"points in {reaches.degraded_alarms} of {reaches.degraded} degraded and {reaches.sound_alarms} of {reaches.sound} sound weeks."
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--streams", default=",".join(name for name, each in STREAMS.items() if each.in_time), help="names of streams, with commas"
    )
    parser.add_argument("--models", type=int, default=MODELS, help="models per stream")
    parser.add_argument("--weeks", type=int, default=15, help="weeks per model")
    parser.add_argument("--every-day", action="store_true", help="every seven consecutive days are a week")
    parser.add_argument("--fresh", action="store_true", help="also estimate with a new model of the labels")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "natural-streams", help="archives and models")
    options = parser.parse_args()
    weeks = []
    for name in options.streams.split(","):
        for folder in model_folders(STREAMS[name], options.models, options.weeks, options.cache):
            weeks += model_weeks(folder, 1 if options.every_day else WEEK, options.fresh)
    print(f"{len(weeks)} weeks; {MISSING_DAYS} of {WEEK} days without labels\n")
    print("\n".join(table(weeks)), interval_line(weeks), sep="\n\n")


if __name__ == "__main__":
    main()

"""Which bad predictions of the sample fleet have a source that something else than this product shows? Written once to triage_cases.json.

The rule, from the raw files alone (no score of the triage has a part in it), each group in the order of the MD5 of the id:

* input: an error at a moment for which the weather service has at least 10 of 11 readings missing; no two of one day and airport.
* label: an error of `sentiment` about a text whose mean rating lies within 0.15 of the border between two classes, and whose raters disagree more
  than half of all texts' raters do: the people themselves do not know the class. Among those, errors that anybody would open: the model gives the label less
  than one chance in five.
* weak_slice: an error inside a slice that erred most on early rows, and whose error rate on later rows (none of which is a case) excludes the overall one.

The first of each group are for tuning, the next are held back. `python -m tests.support.case_choices` prints the file.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.stats.interval import rate_interval

FOLDER = Path(__file__).parents[2] / "sample_data"
WEATHER = (
    "temperature_f", "dew_point_f", "humidity_percent", "wind_direction_degrees", "wind_speed_mph", "wind_gust_mph", "rain_in", "pressure_mb",
    "visibility_miles", "pressure_change_3h_mb", "rain_3h_in",
)  # fmt: skip
LARGE_MINUTES = 33.0
"""Minutes from which a wrong delay is an error: one in five of the reference's is larger (README: the mean is 22)."""
TUNING, HELD = {"input": 3, "label": 3, "weak_slice": 3}, {"input": 8, "label": 8, "weak_slice": 8}
SLICES = (
    ("employment", "RELP", "group quarters", None, None), ("employment", "AGEP", None, 19.0, 26.0), ("employment", "AGEP", None, 65.0, 73.0),
    ("flights-late", "departure_hour", None, 19.68, 24.0),
)  # fmt: skip
SPLIT = {"employment": "2017-01-01", "flights-late": "2013-07-01"}


def outcomes(model: str) -> pd.DataFrame:
    """Served predictions with labels, and whether each is an error."""
    frame = pd.read_parquet(FOLDER / f"{model}.predictions.parquet")
    if "label" not in frame:
        labels = pd.read_parquet(FOLDER / f"{model}.labels.parquet").rename(columns={"value": "label"})
        frame = frame.merge(labels[["id", "label", *(each for each in labels if each.startswith("rat"))]], on="id")
    if model == "flights-delay":
        frame["wrong"] = (frame["score"] - frame["label"].astype(float)).abs() > LARGE_MINUTES
    elif model == "sentiment":
        chances = pd.DataFrame([json.loads(each) if isinstance(each, str) else dict(each) for each in frame["score"]], index=frame.index)
        frame["wrong"] = chances.idxmax(axis=1) != frame["label"]
        frame["chance"] = [chances.at[place, name] for place, name in frame["label"].items()]
    else:
        threshold = 0.35 if model == "flights-late" else 0.5
        frame["wrong"] = (frame["score"] >= threshold) != (frame["label"].astype(float) == 1)
    return frame


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the MD5 of their id."""
    return frame.iloc[np.argsort([hashlib.md5(each.encode()).hexdigest() for each in frame["id"]])]


def inputs() -> Iterator[dict[str, Any]]:
    """Errors without weather."""
    frames = [outcomes(model).assign(model=model) for model in ("flights-late", "flights-delay")]
    frame = pd.concat(frames, ignore_index=True)
    frame["lacking"] = frame[list(WEATHER)].isna().sum(axis=1)
    chosen = frame[frame["wrong"] & (frame["lacking"] >= 10)]
    seen = set()
    for row in in_order(chosen).to_dict("records"):
        place = (row["at"].date(), row["origin"])
        if place in seen:
            continue
        seen.add(place)
        evidence = f"{row['lacking']} of {len(WEATHER)} weather readings are missing in the source at {row['origin']} for {row['at']:%Y-%m-%d %H:%M} UTC"
        yield {"model": row["model"], "id": row["id"], "source": "input", "evidence": evidence, "lacking": int(row["lacking"])}


def label_cases() -> Iterator[dict[str, Any]]:
    """Errors about texts on which people disagree."""
    frame = outcomes("sentiment")
    middle = float(frame["rating_spread"].median())
    border = (frame["rating_mean"].abs() - 0.5).abs()
    served = frame["environment"].fillna("production") == "production" if "environment" in frame else pd.Series(True, frame.index)
    chosen = frame[served & frame["wrong"] & (border <= 0.15) & (frame["rating_spread"] > middle) & (frame["chance"] < 0.2)]
    for row in in_order(chosen).to_dict("records"):
        evidence = (
            f"{row['raters']} people rated it {row['rating_mean']:+.2f} on average, {abs(abs(row['rating_mean']) - 0.5):.2f} from the border of two classes, "
            f"with a spread of {row['rating_spread']:.2f} (half of all texts have less than {middle:.2f})"
        )
        yield {
            "model": "sentiment", "id": row["id"], "source": "label", "evidence": evidence, "rating_mean": float(row["rating_mean"]),
            "rating_spread": float(row["rating_spread"]),
        }  # fmt: skip


def inside(frame: pd.DataFrame, slice_: tuple[str, str, str | None, float | None, float | None]) -> "pd.Series[bool]":
    """Which rows a slice holds."""
    _, column, level, low, high = slice_
    return frame[column] == level if level is not None else (frame[column] >= low) & (frame[column] < high)


def slice_cases() -> Iterator[dict[str, Any]]:
    """Errors inside slices that err more on later rows too; from each slice in turn."""
    queues = []
    for slice_ in SLICES:
        model, column, level, low, high = slice_
        frame = outcomes(model)
        early, later = frame[frame["at"] < SPLIT[model]], frame[frame["at"] >= SPLIT[model]]
        held = later[inside(later, slice_)]
        rate, overall = (rate_interval(int(each["wrong"].sum()), len(each)) for each in (held, later))
        name = f"{column} is {level}" if level is not None else f"{column} from {low:g} to below {high:g}"
        evidence = (
            f"{name}: {100 * (rate.value or 0):.1f} % of {len(held):,} later predictions are errors ({100 * (rate.low or 0):.1f} to {100 * (rate.high or 0):.1f}), "
            f"overall {100 * (overall.value or 0):.1f} % ({100 * (overall.low or 0):.1f} to {100 * (overall.high or 0):.1f})"
        )
        figures = {"low": rate.low, "overall_high": overall.high}
        rows = in_order(early[early["wrong"] & inside(early, slice_)])
        queues.append([{"model": model, "id": own, "source": "weak_slice", "evidence": evidence, **figures} for own in rows["id"].head(20)])
    seen = set()
    for turn in range(20):
        for queue in queues:
            if queue[turn]["id"] not in seen:
                seen.add(queue[turn]["id"])
                yield queue[turn]


def chosen() -> dict[str, list[dict[str, Any]]]:
    """The cases for tuning, and those held back."""
    found: dict[str, list[dict[str, Any]]] = {"tuning": [], "held": []}
    for name, cases in (("input", inputs()), ("label", label_cases()), ("weak_slice", slice_cases())):
        every = list(cases)
        found["tuning"] += every[: TUNING[name]]
        found["held"] += every[TUNING[name] : TUNING[name] + HELD[name]]
    return found


if __name__ == "__main__":
    print(json.dumps(chosen(), indent=1, ensure_ascii=False))

"""The answer key of the triage set: 40 errors of the sample fleet, each with a source that is known without the triage.

All evidence comes from the raw files and the model files; it uses no score of the triage and no function of `investigation`. Each group is
ordered by the MD5 of the id. No two of its cases have the same day and airport, and it has none of the cases with which the triage was
developed (`SEEN`). A first source in `right` is right; `unknown` ("cannot tell") is acceptable; any other is wrong.

* input: at least 10 of 11 weather readings were missing. With those of the same airport next before and next after, within 12 hours, the
  model file gives the right answer both times.
* not_input: the same fault, but neither repair makes the answer right.
* label: by the mean, spread and number of its raters, as many others would give the class that the model decided with at least 30 %.
* expected: a sure answer of complete inputs, outside the weak slices, whose raters (if any) support the label, and rows of a similar score
  err as often as their scores state.
* weak_slice: rows of a similar score err at least 1.3 times as often inside the slice as outside, on rows after SPLIT, with intervals that
  do not touch; the case is before.
* boundary: within 0.01 of the threshold, complete inputs, outside the weak slices.

`python -m tests.support.triage_key` prints the key.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from scipy.stats import norm

from observability.stats.interval import rate_interval
from tests.support.case_choices import FOLDER, LARGE_MINUTES, SLICES, SPLIT, WEATHER, in_order, inside, outcomes

GROUPS = {"input": 8, "not_input": 6, "label": 8, "expected": 8, "weak_slice": 4, "boundary": 6}
RIGHT = {"not_input": ("expected", "boundary", "unknown")}
CATEGORIES = ("carrier", "origin", "destination", "weekday")
NEAR = pd.Timedelta(hours=12)
CUT = 0.5
"""A text with this mean rating or a higher one is positive; below the negative of this value it is negative (sample_data/sentiment.py)."""
SEEN = frozenset(
    "20131101-JFK-B6675 20130819-LGA-EV4462 20131230-JFK-B697 20131231-EWR-EV4495 20131231-LGA-EV5293 20130822-JFK-B6718 20131104-EWR-EV4640 "
    "20131101-LGA-AA301 20130702-EWR-EV4240 20130822-JFK-B6418 20131231-EWR-B6705 20130616-EWR-EV4335 20130416-EWR-EV4309 20130619-JFK-B643 "
    "tweet-2499 tweet-0067 tweet-2386 tweet-1943 tweet-0773 tweet-0951 tweet-4197 tweet-0031 tweet-3782 tweet-0050 tweet-3086 ma-2016-07903 "
    "ma-2016-17097 ma-2016-10171 ma-2016-22251 ma-2016-59013 ma-2016-09560 ma-2016-12312 ma-2016-56124".split()
)


@cache
def rows(model: str) -> pd.DataFrame:
    """Predictions that were served in production, with their labels."""
    frame = outcomes(model)
    return frame[frame["environment"].fillna("production") == "production"] if "environment" in frame else frame


@cache
def booster(model: str) -> lightgbm.Booster:
    """The fitted model, read from the model file."""
    return lightgbm.Booster(model_file=FOLDER / f"{model}.lightgbm.txt")


def scored(model: str, frame: pd.DataFrame) -> np.ndarray:
    """The scores by the model file."""
    found = booster(model)
    given = frame[found.feature_name()].copy()
    for name, levels in zip(CATEGORIES, found.pandas_categorical, strict=True):
        given[name] = pd.Categorical(given[name].astype(object).where(given[name].isin(levels)), categories=levels)
    return found.predict(given)


def is_right(model: str, score: np.ndarray, label: float) -> np.ndarray:
    """For each score, whether it is right."""
    if model == "flights-delay":
        return np.abs(score - label) <= LARGE_MINUTES
    return (score >= 0.35) == (label == 1)


def repairs(model: str, row: pd.Series) -> np.ndarray | None:
    """The scores with the previous and the next readings of the same airport. None if there are no readings within NEAR, or if the model
    file does not give the logged score.
    """
    frame = rows(model)
    same = frame[(frame["origin"] == row["origin"]) & (frame[list(WEATHER)].isna().sum(axis=1) <= 2)]
    sides = (same[(same["at"] < row["at"])].tail(1), same[(same["at"] > row["at"])].head(1))
    if any(side.empty or abs(side["at"].iloc[0] - row["at"]) > NEAR for side in sides):
        return None
    table = pd.DataFrame([row, row, row]).reset_index(drop=True)
    for place, side in enumerate(sides, 1):
        table.loc[place, list(WEATHER)] = side[list(WEATHER)].iloc[0].to_numpy()
    numbers = [name for name in booster(model).feature_name() if name not in CATEGORIES]
    given = scored(model, table.astype(dict.fromkeys(numbers, float)))
    return given[1:] if abs(given[0] - row["score"]) < 0.01 else None


def stated(model: str, row: pd.Series) -> tuple[int, int, float, float, float] | None:
    """(rows, errors, low, high, stated rate) of the rows with a similar score and the same decision. None if there are too few."""
    frame = rows(model)
    threshold = 0.35 if model == "flights-late" else 0.5
    same = frame[((frame["score"] >= threshold) == (row["score"] >= threshold)) & ((frame["score"] - row["score"]).abs() <= 0.015)]
    same = same[same["id"] != row["id"]]
    if len(same) < 100:
        return None
    found = rate_interval(int(same["wrong"].sum()), len(same))
    rate = same["score"].mean() if row["score"] < threshold else 1 - same["score"].mean()
    return len(same), int(same["wrong"].sum()), float(found.low or 0), float(found.high or 1), float(rate)


def weak(model: str, row: pd.Series) -> bool:
    """Whether a row lies in a slice with more errors of the model."""
    table = pd.DataFrame([row])
    return any(bool(inside(table, slice_).iloc[0]) for slice_ in SLICES if slice_[0] == model)


def feeds() -> Iterator[tuple[str, dict[str, Any]]]:
    """Errors of rows that lack weather readings, grouped by whether the answer becomes right once they are filled in: (group, case)."""
    frames = [rows(model).assign(model=model).sort_values("at") for model in ("flights-late", "flights-delay")]
    frame = pd.concat(frames, ignore_index=True)
    frame["lacking"] = frame[list(WEATHER)].isna().sum(axis=1)
    for _, row in in_order(frame[frame["wrong"] & (frame["lacking"] >= 10) & ~frame["id"].isin(SEEN)]).iterrows():
        given = repairs(row["model"], row)
        if given is None:
            continue
        right = is_right(row["model"], given, float(row["label"]))
        evidence = f"{row['lacking']} of 11 readings missing; with those before and after the score is {given[0]:.4g} and {given[1]:.4g} "
        evidence += f"instead of {row['score']:.4g}, label {row['label']}"
        place = f"{row['at']:%Y-%m-%d} {row['origin']}"
        case = {"model": row["model"], "id": row["id"], "evidence": evidence, "place": place}
        if right.all():
            yield "input", case
        elif not right.any():
            yield "not_input", case


def raters(frame: pd.DataFrame) -> pd.DataFrame:
    """Texts with the class decided for them, its probability, and the probability that the same number of other raters would give this
    class.
    """
    chances = pd.DataFrame([json.loads(each) if isinstance(each, str) else dict(each) for each in frame["score"]], index=frame.index)
    decided = chances.idxmax(axis=1)
    error = frame["rating_spread"] / np.sqrt(frame["raters"])
    low = decided.map({"negative": -np.inf, "neutral": -CUT, "positive": CUT})
    high = decided.map({"negative": -CUT, "neutral": CUT, "positive": np.inf})
    doubt = norm.cdf((high - frame["rating_mean"]) / error) - norm.cdf((low - frame["rating_mean"]) / error)
    return frame.assign(decided=decided, sure=chances.max(axis=1), doubt=doubt)


def labels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Errors about texts, grouped by whether other raters might have given the decided class or almost certainly would not: (group,
    case).
    """
    frame = raters(rows("sentiment"))
    for _, row in in_order(frame[frame["wrong"] & ~frame["id"].isin(SEEN)]).iterrows():
        evidence = (
            f"{row['raters']} raters, mean {row['rating_mean']:+.2f}, spread {row['rating_spread']:.2f}: {100 * row['doubt']:.0f} % for "
        )
        case = {"model": "sentiment", "id": row["id"], "evidence": f"{evidence}{row['decided']}"}
        if row["doubt"] >= 0.3:
            yield "label", case
        elif row["doubt"] <= 0.02 and row["sure"] >= 0.85:
            same = frame[(frame["decided"] == row["decided"]) & ((frame["sure"] - row["sure"]).abs() <= 0.05) & (frame["id"] != row["id"])]
            found, rate = rate_interval(int(same["wrong"].sum()), len(same)), float(1 - same["sure"].mean())
            if len(same) >= 100 and (found.low or 0) <= rate <= (found.high or 1):
                yield (
                    "expected",
                    {**case, "evidence": f"{case['evidence']}; {int(same['wrong'].sum())} of {len(same)} alike, stated {rate:.3f}"},
                )


def scores() -> Iterator[tuple[str, dict[str, Any]]]:
    """Errors of rows with complete inputs, grouped by their score: (group, case)."""
    frames = [rows(model).assign(model=model) for model in ("flights-late", "employment")]
    frame = pd.concat([each[each["wrong"] & ~each["id"].isin(SEEN)] for each in frames], ignore_index=True)
    for _, row in in_order(frame).iterrows():
        model, threshold = row["model"], 0.35 if row["model"] == "flights-late" else 0.5
        if weak(model, row) or (model == "flights-late" and row[[*WEATHER[:5], *WEATHER[6:]]].isna().sum() > 1):
            continue
        case = {"model": model, "id": row["id"], "place": f"{row['at']:%Y-%m-%d} {row.get('origin')}"}
        if abs(row["score"] - threshold) < 0.01:
            yield "boundary", {**case, "evidence": f"score {row['score']:.4f}, threshold {threshold}"}
        sure = row["score"] <= 0.12 or row["score"] >= (0.75 if model == "flights-late" else 0.93)
        local = stated(model, row) if sure else None
        if local and local[2] <= local[4] <= local[3]:
            evidence = f"score {row['score']:.4f}; {local[1]} of {local[0]:,} rows of a similar score are errors, stated {local[4]:.3f}"
            yield "expected", {**case, "evidence": evidence}


def slices() -> Iterator[tuple[str, dict[str, Any]]]:
    """Errors inside a slice in which later rows with similar scores also have more errors: (group, case)."""
    for slice_ in SLICES:
        model, column, level, low, high = slice_
        frame, threshold = rows(model), 0.35 if model == "flights-late" else 0.5
        later = frame[frame["at"] >= SPLIT[model]]
        early = frame[(frame["at"] < SPLIT[model]) & frame["wrong"] & inside(frame, slice_) & ~frame["id"].isin(SEEN)]
        for _, row in in_order(early).head(250).iterrows():
            same = later[((later["score"] >= threshold) == (row["score"] >= threshold)) & ((later["score"] - row["score"]).abs() <= 0.05)]
            here = inside(same, slice_)
            counts = [(int(same.loc[side, "wrong"].sum()), int(side.sum())) for side in (here, ~here)]
            if min(n for _, n in counts) < 100:
                continue
            own, rest = (rate_interval(*each) for each in counts)
            if (own.low or 0) > (rest.high or 1) and (own.value or 0) > 1.3 * (rest.value or 1):
                name = f"{column} is {level}" if level is not None else f"{column} from {low:g} to below {high:g}"
                evidence = f"{name}: at scores near {row['score']:.2f}, {counts[0][0]} of {counts[0][1]} later rows are errors, {counts[1][0]} of {counts[1][1]} elsewhere"
                yield "weak_slice", {"model": model, "id": row["id"], "evidence": evidence}


MAKERS = {feeds: ("input", "not_input"), labels: ("label", "expected"), scores: ("expected", "boundary"), slices: ("weak_slice",)}


def key() -> list[dict[str, Any]]:
    """The cases, group by group. Half of the cases of the group `expected` are texts, and no slice has more than three cases."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in GROUPS}
    places: set[tuple[str, str | None]] = set()
    for make, groups in MAKERS.items():
        most = {name: GROUPS[name] // (2 if make is labels and name == "expected" else 1) for name in groups}
        for group, case in make():
            held, place, slice_ = found[group], (group, case.get("place")), case["evidence"].partition(":")[0]
            crowded = group == "weak_slice" and sum(each["evidence"].startswith(f"{slice_}:") for each in held) >= 3
            if len(held) < most[group] and not crowded and place not in places:
                places |= {place} if place[1] else set()
                right = list(RIGHT.get(group, (group,)))
                held.append({"model": case["model"], "id": case["id"], "group": group, "right": right, "evidence": case["evidence"]})
            if all(len(found[name]) >= most[name] for name in groups):
                break
    return [case for group in found.values() for case in group]


if __name__ == "__main__":
    print(json.dumps(key(), indent=1, ensure_ascii=False))

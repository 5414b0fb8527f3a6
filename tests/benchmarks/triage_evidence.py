"""Evidence about 80 wrong predictions, computed without the product, and the key that follows from it by the rules below.

    python tests/benchmarks/triage_evidence.py [--key 2|3]     writes triage_key.json, triage_key_2.json or triage_key_3.json beside it

The first key was used up while the triage was built. The second and the third have other cases, and two stricter rules of evidence
(decision 0089). First, if a log has changed inputs and a row is wrong with its true inputs as well (B), then `slice`, `far` and
`calibration` of this row are measured on the rows that were not changed. Second, z counts days as the unit (marked below).

Sixty cases are drawn at random from the sample fleet: fifteen per model, one from each of fifteen equal parts of its time. An error is a
wrong class or, for `flights-delay`, a deviation of at least 45 minutes. Twenty cases come from the ten planted logs of triage_rows.py. Each
log gives one case that the fault made wrong (A), and one that is wrong for another reason (B: either the true inputs give a wrong answer
too, or the row is next to the faulty ones).

**Evidence**
* `boundary`: distance of the score to the threshold; of several classes the lead of the first over the second.
* `calibration`: of the 1,000 rows of most similar score with the same decision (500 of sentiment; the case itself is left out), over all time and within 15 days: how
  many were wrong, how many the scores state, and the z of the difference. Of a regression: how often the error is as large in the same direction, among the
  rows within 15 days and in the reference.
* `slice`: rows of similar score and the same decision (a tenth of them, at least 600) are split at random. On the first half the slice of one or two of
  the case's own values (numbers in fifths) with the largest lower bound of excess errors is chosen; on the second half it is measured: errors inside, outside, z.
  The later keys take the smaller z of rows and of days, and try the rows within 15 days (a quarter of them, at least 600) as well: a slice is accepted where
  it is one over all time or near the case, since the product speaks of rows near in time.
* `far`: the distance to the nearest of 5,000 reference rows as a percentile of 2,000 other reference rows; values outside the reference's range;
  and whether rows as far, of similar score, err more often than the others (the later keys: with days as the unit).
* `repair`: inputs that are missing (in less than half of the reference), outside the reference's range or unseen are replaced by the values of ten donors whose
  values are sound: of the same airport within six hours, else the most similar rows on the other inputs. All of them together and each alone are tried. `helps` is the
  share of donors with which the file's answer is right; of a regression the median share of the error that goes away; the best try counts.
* `label`: for ratings, the probability that as many new raters would give the class that the model decided, or the logged one, from mean, spread and raters.

**Key**: `accept` are sources that are acceptable first; `honest` says whether "cannot tell" (`unknown` without `detail`) is right as well.
`expected` stands for `unknown` with the detail `expected`.
1. `input`: repair helps at least 0.6 (regression 0.4). With 0.9 (0.7) it is clear: `expected` and `far_from_reference` are not accepted.
2. `label`: a new panel gives the model's class with at least 0.2, or the logged class with at most 0.8. From 0.4 on it is clear: only `label`, and `boundary`
   where that holds, are accepted, and "cannot tell" is not honest from 0.5 on. Without raters nothing speaks against a label.
3. `boundary`: distance at most 0.08 (lead at most 0.12). At most 0.03 (0.05) is clear: `expected` is not accepted.
4. `weak_slice`: on the second half errors are at least 1.2 times as frequent as outside with z of 2. With 1.6 times and z of 4 it is clear: `expected` is not accepted.
5. `far_from_reference`: at or above the 95th percentile or outside the range, and rows as far err at least 1.2 times as often with z of 2.
6. `expected`: unless excluded above, where errors are not more frequent than stated (at most 1.25 times, or z below 2) over all time or within 15 days.
7. "Cannot tell" is honest in every case, except where rule 2 or 8 says otherwise.
8. Planted, A: only what was planted is accepted: `input`, `label`, `weak_slice`, `version` or `degraded_path`. "Cannot tell" is honest where the store does not show the
   fault in the row (unit change, swapped category, empty embedding, wrong labels, concept drift), and for an input whose repair helps less than 0.9 (0.7). A
   regression's `far_from_reference` is not accepted for a value that no gauge can send.
9. Planted, B: rules 1 to 7 on the planted log; the planted source is not accepted unless these rules say so. Among wrong labels `label` is accepted too.
   A bad version or path that answered is accepted beside the others where B is one of its answers.

Halves: the cases of each model, and the planted ones, are dealt at random into `development` and `held`.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from math import erf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from triage_rows import (
    CLASSES,
    MODELS,
    PLANTS,
    PLANTS_2,
    PLANTS_3,
    SOURCES,
    THRESHOLDS,
    ModelRows,
    PlantedLog,
    decisions,
    features_of_model,
    fleet_rows,
    model_answers,
    score_columns,
)

PER_MODEL, LARGE_ERROR = 15, 45.0
DONORS, DAY = 10, pd.Timedelta(days=1)
UNSEEN_IN_ROW = ("unit change", "swapped category", "empty embedding", "wrong labels", "concept drift")


MIN_DAYS = 4
"""Least number of days inside and outside a group for which a day-by-day comparison of errors counts."""
ELSEWHERE = Path(__file__).parents[1] / "investigation" / "triage_key.json"
"""Cases of an earlier key, with which the triage was built."""


@dataclass(frozen=True)
class KeyPlan:
    """How a key is made. strict: use the stricter rules of the second and third key. without: keys whose cases are left out."""

    file: Path
    seed: int
    plants: dict[str, Callable[[], PlantedLog]]
    strict: bool = False
    without: tuple[Path, ...] = ()

    def left_out(self) -> set[str]:
        """Ids of cases that other keys have."""
        found = [json.loads(path.read_text(encoding="utf-8")) for path in self.without]
        return {case["id"] for held in found for case in (held["cases"] if isinstance(held, dict) else held)}


FILES = tuple(Path(__file__).with_name(f"triage_key{number}.json") for number in ("", "_2", "_3"))
KEYS = {
    1: KeyPlan(FILES[0], 5801, PLANTS),
    2: KeyPlan(FILES[1], 8902, PLANTS_2, True, (*FILES[:1], ELSEWHERE)),
    3: KeyPlan(FILES[2], 1603, PLANTS_3, True, (*FILES[:2], ELSEWHERE)),
}
FIRST = KEYS[1]


@dataclass(frozen=True)
class Judged:
    """Rows of a log with the decisions: scores (one number per row: of the decided class, or of a regression), decided, wrong, stated."""

    log: ModelRows
    scores: np.ndarray
    decided: np.ndarray
    wrong: np.ndarray
    stated: np.ndarray
    error: np.ndarray


def judged(log: ModelRows) -> Judged:
    """The decisions, and whether each was wrong."""
    rows, answers = log.rows, log.rows[score_columns(log.model)].to_numpy(float)
    decided = decisions(log.model, answers if answers.shape[1] > 1 else answers[:, 0])
    if log.model == "flights-delay":
        error = answers[:, 0] - rows["label"].to_numpy(float)
        return Judged(log, answers[:, 0], np.sign(error), np.abs(error) >= LARGE_ERROR, np.full(len(rows), np.nan), error)
    own = answers.max(axis=1) if answers.shape[1] > 1 else np.where(decided == CLASSES[log.model][1], answers[:, 0], 1 - answers[:, 0])
    return Judged(log, own, decided, decided != rows["label"].to_numpy(), 1 - own, np.zeros(len(rows)))


def _z(k: float, n: float, other: float, m: float) -> float:
    """The z statistic of the rate k of n against the rate other of m."""
    pooled = (k + other) / (n + m)
    spread = sqrt(max(pooled * (1 - pooled) * (1 / n + 1 / m), 1e-12))
    return (k / n - other / m) / spread


def _z_by_day(wrong: np.ndarray, inside: np.ndarray, at: pd.Series) -> float:
    """z of the difference of two error rates, with days as the unit, because rows of one day share what made them wrong."""
    day = pd.factorize(at.dt.floor("D"))[0]
    n, rest = int(inside.sum()), int((~inside).sum())
    if min(n, rest) == 0 or min(len(set(day[inside])), len(set(day[~inside]))) < MIN_DAYS:
        return 0.0
    rate, other = wrong[inside].mean(), wrong[~inside].mean()
    parts = np.where(inside, (wrong - rate) / n, (other - wrong) / rest)
    days = np.bincount(day, weights=parts)
    return float((rate - other) / sqrt(max((days**2).sum() * days.size / (days.size - 1), 1e-12)))


def _nearest(values: np.ndarray, to: float, where: np.ndarray, n: int) -> np.ndarray:
    places = np.flatnonzero(where)
    return places[np.argsort(np.abs(values[places] - to), kind="stable")[:n]]


def _counted(data: Judged, place: int) -> np.ndarray:
    """Which rows count as errors like that of the case: wrong rows; for a regression, errors in the same direction and at least half as
    large.
    """
    if data.log.model != "flights-delay":
        return data.wrong
    return (np.sign(data.error) == np.sign(data.error[place])) & (np.abs(data.error) >= abs(data.error[place]) / 2)


def boundary_evidence(data: Judged, place: int) -> dict[str, Any] | None:
    """The distance to the decision boundary."""
    model, row = data.log.model, data.log.rows.iloc[place]
    if model == "flights-delay":
        return None
    if model == "sentiment":
        first, second = sorted((row[name] for name in score_columns(model)), reverse=True)[:2]
        return {"margin": round(float(first - second), 4), "accept": first - second <= 0.12, "clear": first - second <= 0.05}
    distance = abs(float(row["score"]) - THRESHOLDS[model])
    return {"margin": round(distance, 4), "accept": distance <= 0.08, "clear": distance <= 0.03}


def _near(data: Judged, place: int) -> np.ndarray:
    """Which rows are within fifteen days of the case."""
    at = data.log.rows["at"]
    return np.asarray(np.abs(at - at.iloc[place]).to_numpy() <= np.timedelta64(15, "D"))


def calibration_evidence(data: Judged, place: int, among: np.ndarray) -> dict[str, Any]:
    """Errors among rows with similar scores, and how many were to be expected."""
    model, rows = data.log.model, data.log.rows
    n = 500 if model == "sentiment" else 1000
    others, near = among & (np.arange(len(rows)) != place), _near(data, place)
    if model == "flights-delay":
        size, side = abs(data.error[place]), np.sign(data.error[place])
        past = data.log.reference
        error = (past["score"] - past["label"]).to_numpy(float)
        earlier = _nearest(past["score"].to_numpy(float), data.scores[place], np.ones(len(past), bool), 3000)
        expected = float(((np.sign(error[earlier]) == side) & (np.abs(error[earlier]) >= size)).mean())
        found = {}
        for name, where in (("all", others), ("near", others & near)):
            like = _nearest(data.scores, data.scores[place], where, 3000)
            k = int(((np.sign(data.error[like]) == side) & (np.abs(data.error[like]) >= size)).sum())
            z = _z(k, len(like), expected * len(earlier), len(earlier))
            found[name] = {"n": len(like), "as_large": k, "reference_rate": round(expected, 5), "z": round(z, 2)}
            found[name]["ok"] = bool(k / len(like) <= 1.25 * expected or z < 2)
        return found
    found = {}
    for name, where in (("all", others), ("near", others & near)):
        like = _nearest(data.scores, data.scores[place], where & (data.decided == data.decided[place]), n)
        k, stated = int(data.wrong[like].sum()), float(data.stated[like].sum())
        z = (k - stated) / sqrt(max((data.stated[like] * (1 - data.stated[like])).sum(), 1e-9))
        found[name] = {"n": len(like), "wrong": k, "stated": round(stated, 1), "z": round(z, 2), "ok": bool(k <= 1.25 * stated or z < 2)}
    return found


def _codes(log: ModelRows) -> dict[str, np.ndarray]:
    """Each feature as codes: the levels, or fifths of a number; a missing value is a separate level."""
    found = {}
    for name in log.features:
        values = log.rows[name]
        if pd.api.types.is_numeric_dtype(values):
            edges = np.unique(np.nanquantile(values.to_numpy(float), [0.2, 0.4, 0.6, 0.8]))
            found[name] = np.where(values.isna(), -1, np.searchsorted(edges, values.to_numpy(float), side="left"))
        else:
            found[name] = pd.factorize(values)[0]
    return found


def _alike(data: Judged, place: int, among: np.ndarray) -> np.ndarray:
    """The other rows with the same decision; for a regression, all other rows."""
    alike = among & (np.arange(len(among)) != place)
    return alike if data.log.model == "flights-delay" else alike & (data.decided == data.decided[place])


def slice_evidence(
    data: Judged, place: int, codes: dict[str, np.ndarray], rng: np.random.Generator, among: np.ndarray, strict: bool
) -> dict[str, Any]:
    """Among the slices of the case's own values, the one whose rows err most beyond rows of similar score; measured on rows that were not
    used to choose it.
    """
    alike = _alike(data, place, among)
    like = _nearest(data.scores, data.scores[place], alike, max(600, int(alike.sum() * 0.1)))
    found = slice_among(data, place, codes, rng, like, strict)
    if not strict:
        return found
    alike &= _near(data, place)
    like = _nearest(data.scores, data.scores[place], alike, max(600, int(alike.sum() * 0.25)))
    both = {"all": found, "near": slice_among(data, place, codes, rng, like, strict)}
    return both | {name: any(each[name] for each in both.values()) for name in ("accept", "clear")}


def slice_among(
    data: Judged, place: int, codes: dict[str, np.ndarray], rng: np.random.Generator, like: np.ndarray, strict: bool
) -> dict[str, Any]:
    """The slice of `slice_evidence`, found among the given rows."""
    counted = _counted(data, place)
    first = rng.random(len(like)) < 0.5
    inside = {name: codes[name][like] == codes[name][place] for name in data.log.features}
    names = list(inside)
    pairs = [(one,) for one in names] + [(one, two) for k, one in enumerate(names) for two in names[k + 1 :]]
    wrong, best, chosen = counted[like], -np.inf, None
    for pair in pairs:
        where = inside[pair[0]] & (inside[pair[1]] if len(pair) > 1 else True)
        n, rest = int((where & first).sum()), int((~where & first).sum())
        if n < 40 or rest < 40:
            continue
        rate, other = wrong[where & first].mean(), wrong[~where & first].mean()
        bound = rate - other - 2.5 * sqrt(max(rate * (1 - rate), 0.01) / n + other * (1 - other) / rest)
        if bound > best:
            best, chosen = bound, (pair, where)
    if chosen is None:
        return {"accept": False, "clear": False}
    pair, where = chosen
    n, rest = int((where & ~first).sum()), int((~where & ~first).sum())
    k, other = int(wrong[where & ~first].sum()), int(wrong[~where & ~first].sum())
    z, ratio = _z(k, n, other, rest) if n and rest else 0.0, (k / max(n, 1)) / max(other / max(rest, 1), 1e-9)
    if strict:
        z = min(z, _z_by_day(wrong[~first], where[~first], data.log.rows["at"].iloc[like[~first]]))
    return {
        "features": list(pair), "n": n, "wrong": k, "n_outside": rest, "wrong_outside": other, "ratio": round(ratio, 2), "z": round(z, 2),
        "accept": bool(ratio >= 1.2 and z >= 2), "clear": bool(ratio >= 1.6 and z >= 4),
    }  # fmt: skip


class Distances:
    """Distances to the nearest reference row. Numbers count in their standard deviations (at most 3), categories 0 or 1, missing against
    known 1.
    """

    def __init__(self, log: ModelRows, rng: np.random.Generator) -> None:
        reference = log.reference.iloc[rng.permutation(len(log.reference))]
        cut = min(5000, int(len(reference) * 0.7))
        self.log, self.numbers = log, [each for each in log.features if pd.api.types.is_numeric_dtype(log.reference[each])]
        self.texts = [each for each in log.features if each not in self.numbers]
        self.levels = {each: {value: k for k, value in enumerate(pd.unique(log.reference[each].dropna()))} for each in self.texts}
        self.scale = log.reference[self.numbers].std().replace(0, 1.0)
        self.low, self.high = log.reference[self.numbers].min(), log.reference[self.numbers].max()
        self.base = self._encoded(reference.iloc[:cut])
        self.own = np.sort(self.of(reference.iloc[cut : cut + 2000]))

    def _encoded(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        numbers = (rows[self.numbers].astype(float) / self.scale).to_numpy(np.float32)
        texts = [rows[each].map(self.levels[each]).fillna(-1).to_numpy(np.int32) for each in self.texts]
        return numbers, np.column_stack(texts) if texts else np.empty((len(rows), 0), np.int32)

    def of(self, rows: pd.DataFrame) -> np.ndarray:
        """The distance of each row to its nearest reference row."""
        numbers, texts = self._encoded(rows)
        base, levels = self.base
        found = np.empty(len(rows))
        for k in range(len(rows)):
            apart = np.abs(base - numbers[k])
            missing = np.isnan(base) != np.isnan(numbers[k])
            apart = np.where(np.isnan(apart), missing.astype(np.float32), np.minimum(apart, 3))
            found[k] = (apart.sum(axis=1) + (levels != texts[k]).sum(axis=1)).min()
        return found

    def outside(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Which values are outside the reference's range, or are levels that the reference does not have."""
        numbers = (rows[self.numbers] < self.low) | (rows[self.numbers] > self.high)
        for each in self.texts:
            numbers[each] = rows[each].notna() & ~rows[each].isin(list(self.levels[each]))
        return numbers


def far_evidence(
    data: Judged, place: int, distances: Distances, rng: np.random.Generator, among: np.ndarray, strict: bool
) -> dict[str, Any]:
    """How far the case is from the reference, and whether equally far rows err more often."""
    rows, counted = data.log.rows, _counted(data, place)
    like = rng.permutation(_nearest(data.scores, data.scores[place], _alike(data, place, among), 6000))[:1500]
    case, others = rows.iloc[[place]], rows.iloc[like]
    percentile = float((distances.own <= distances.of(case)[0]).mean())
    outside = distances.outside(case).iloc[0]
    found: dict[str, Any] = {
        "percentile": round(percentile, 4),
        "outside": [name for name in outside.index if outside[name]],
        "accept": False,
    }
    for name, where in (
        ("rows_as_far", distances.of(others) >= np.quantile(distances.own, 0.95) if percentile >= 0.95 else None),
        ("rows_outside", distances.outside(others)[found["outside"]].any(axis=1).to_numpy() if found["outside"] else None),
    ):
        if where is None or where.sum() < 20 or (~where).sum() < 20:
            continue
        k, other = int(counted[like][where].sum()), int(counted[like][~where].sum())
        z = _z(k, int(where.sum()), other, int((~where).sum()))
        if strict:
            z = min(z, _z_by_day(counted[like], np.asarray(where), rows["at"].iloc[like]))
        ratio = (k / where.sum()) / max(other / (~where).sum(), 1e-9)
        found[name] = {"n": int(where.sum()), "wrong": k, "n_other": int((~where).sum()), "wrong_other": other, "z": round(z, 2)}
        found["accept"] |= bool(ratio >= 1.2 and z >= 2)
    return found


def repair_evidence(data: Judged, place: int, distances: Distances) -> dict[str, Any]:
    """What the model answers if suspicious inputs are replaced by the values of rows in which they are sound."""
    log, rows = data.log, data.log.rows
    case = rows.iloc[place]
    usual = log.reference[log.features].isna().mean()
    missing = [name for name in log.features if pd.isna(case[name]) and usual[name] < 0.5]
    outside = distances.outside(rows.iloc[[place]]).iloc[0]
    suspects = missing + [name for name in outside.index if outside[name]]
    if not suspects:
        return {"suspects": [], "accept": False, "clear": False}
    limits = (0.4, 0.7) if log.model == "flights-delay" else (0.6, 0.9)
    tried = [{"inputs": inputs} | _repaired(data, place, inputs, distances) for inputs in _sets_of(suspects)]
    best = max((each["helps"] for each in tried if each["helps"] is not None), default=-1.0)
    return {
        "suspects": suspects,
        "missing": missing,
        "tried": tried,
        "helps": best,
        "accept": best >= limits[0],
        "clear": best >= limits[1],
    }


def _sets_of(suspects: list[str]) -> list[list[str]]:
    """All suspected inputs together, then each by itself."""
    return [suspects] + [[name] for name in suspects if len(suspects) > 1]


def _repaired(data: Judged, place: int, suspects: list[str], distances: Distances) -> dict[str, Any]:
    """One repair: where the replacing rows come from, and how much the repair helps."""
    log, rows = data.log, data.log.rows
    case = rows.iloc[place]
    near = np.abs(rows["at"] - case["at"]) <= pd.Timedelta(hours=6)
    pool = np.flatnonzero(near & (rows[SOURCES[log.model]] == case[SOURCES[log.model]])) if log.model in SOURCES else np.array([], int)
    order = np.argsort(np.abs(rows["at"].iloc[pool] - case["at"]).to_numpy(), kind="stable")
    sound = _sound(rows.iloc[pool[order]], suspects, distances, log.model in SOURCES)
    donors, kind = sound.iloc[:DONORS], "same source within six hours"
    if len(donors) < 3:
        donors, kind = _similar_rows(data, place, suspects, distances), "similar rows"
    if len(donors) < 3:
        return {"donors": len(donors), "from": kind, "helps": None}
    tried = pd.concat([rows.iloc[[place]]] * len(donors), ignore_index=True)
    for name in suspects:
        tried[name] = donors[name].to_numpy()
    answers = model_answers(log.model, tried)
    if log.model == "flights-delay":
        helps = np.median(1 - np.abs(answers - float(case["label"])) / abs(data.error[place]))
    else:
        helps = (decisions(log.model, answers) == case["label"]).mean()
    return {"donors": len(donors), "from": kind, "helps": round(float(helps), 3)}


def _sound(rows: pd.DataFrame, suspects: list[str], distances: Distances, same_source: bool) -> pd.DataFrame:
    """Rows in which the values of the suspected inputs are known. Rows of the same source may have values outside the reference, because
    there these are genuine.
    """
    known = rows[suspects].notna().all(axis=1)
    for name in distances.texts:
        known &= rows[name].isin(list(distances.levels[name])) if name in suspects else True
    return rows[known if same_source else known & ~distances.outside(rows)[suspects].any(axis=1)]


def _similar_rows(data: Judged, place: int, suspects: list[str], distances: Distances) -> pd.DataFrame:
    """The rows with sound values that are most similar on the other inputs, among the 4,000 rows nearest in time and the reference."""
    log = data.log
    order = np.argsort(np.abs(log.rows["at"] - log.rows["at"].iloc[place]).to_numpy(), kind="stable")
    order = order[order != place][:4000]
    pool = pd.concat([log.rows.iloc[order][log.features], log.reference[log.features].iloc[:4000]], ignore_index=True)
    pool = _sound(pool, suspects, distances, same_source=False)
    numbers = [each for each in distances.numbers if each not in suspects]
    apart = np.zeros(len(pool))
    for each in numbers:
        gap = np.abs(pool[each].to_numpy(float) - float(log.rows[each].iloc[place])) / distances.scale[each]
        apart += np.where(np.isnan(gap), 1.0, np.minimum(gap, 3))
    for each in distances.texts:
        apart += 0 if each in suspects else (pool[each] != log.rows[each].iloc[place]).to_numpy(float)
    return pool.iloc[np.argsort(apart, kind="stable")[:DONORS]]


def label_evidence(data: Judged, place: int) -> dict[str, Any]:
    """What raters say about the label: the probability that as many new raters would give the model's class, or the logged class."""
    row = data.log.rows.iloc[place]
    if "raters" not in row:
        return {"raters": None, "accept": False, "clear": False}
    spread = max(float(row["rating_spread"]), 0.05) * sqrt(2 / float(row["raters"]))
    below = [0.5 * (1 + erf((cut - float(row["rating_mean"])) / spread / sqrt(2))) for cut in (-0.5, 0.5)]
    chance = dict(zip(CLASSES["sentiment"], (below[0], below[1] - below[0], 1 - below[1]), strict=True))
    own, models = chance[row["label"]], chance[str(data.decided[place])]
    return {
        "raters": int(row["raters"]), "mean": float(row["rating_mean"]), "spread": float(row["rating_spread"]),
        "panel_gives_label": round(own, 3), "panel_gives_decision": round(models, 3),
        "accept": models >= 0.2 or own <= 0.8, "clear": models >= 0.4, "sure": models >= 0.5,
    }  # fmt: skip


def key_of(evidence: dict[str, Any]) -> tuple[list[str], bool]:
    """The accepted sources, and whether "cannot tell" is an honest answer: rules 1 to 7."""
    repair, label, boundary = evidence["repair"], evidence["label"], evidence["boundary"] or {"accept": False, "clear": False}
    if label["clear"]:
        return ["label"] + (["boundary"] if boundary["accept"] else []), not label["sure"]
    sources = {"input": repair, "label": label, "boundary": boundary, "weak_slice": evidence["slice"]}
    accept = [name for name, found in sources.items() if found["accept"]]
    if evidence["far"]["accept"] and not repair["clear"]:
        accept.append("far_from_reference")
    calibrated = evidence["calibration"]["all"]["ok"] or evidence["calibration"]["near"]["ok"]
    if calibrated and not any(found["clear"] for found in sources.values()):
        accept.append("expected")
    return accept, True


def case_evidence(
    data: Judged, place: int, codes: dict[str, np.ndarray], distances: Distances, rng: np.random.Generator, strict: bool, among: np.ndarray
) -> dict[str, Any]:
    """All evidence about one row. among: the rows with which it is compared."""
    return {
        "boundary": boundary_evidence(data, place),
        "calibration": calibration_evidence(data, place, among),
        "slice": slice_evidence(data, place, codes, rng, among, strict),
        "far": far_evidence(data, place, distances, rng, among, strict),
        "repair": repair_evidence(data, place, distances),
        "label": label_evidence(data, place),
    }


def _case(data: Judged, place: int, **more: Any) -> dict[str, Any]:
    row = data.log.rows.iloc[place]
    answer = {name: float(row[name]) for name in score_columns(data.log.model)}
    return {"model": data.log.model, "id": row["id"], "at": row["at"].isoformat(), "answer": answer, "label": str(row["label"])} | more


def fleet_cases(model: str, rng: np.random.Generator, plan: KeyPlan = FIRST) -> list[dict[str, Any]]:
    """Fifteen errors of a model, one from each of fifteen equal parts of its time."""
    data = judged(fleet_rows(model))
    codes, distances = _codes(data.log), Distances(data.log, rng)
    at = data.log.rows["at"]
    part = ((at - at.min()) / ((at.max() - at.min()) / PER_MODEL)).clip(upper=PER_MODEL - 1).astype(int).to_numpy()
    cases, other = [], ~data.log.rows["id"].isin(plan.left_out()).to_numpy()
    for number in range(PER_MODEL):
        place = int(rng.choice(np.flatnonzero(data.wrong & other & (part == number))))
        evidence = case_evidence(data, place, codes, distances, rng, plan.strict, np.ones(len(at), bool))
        accept, honest = key_of(evidence)
        cases.append(_case(data, place, log="fleet", planted=None, accept=accept, honest=honest, evidence=evidence))
    return cases


def planted_cases(plant: PlantedLog, rng: np.random.Generator, plan: KeyPlan = FIRST) -> list[dict[str, Any]]:
    """Cases A and B of a planted log: rules 8 and 9."""
    log = ModelRows(plant.model, features_of_model(plant.model), plant.rows, fleet_rows(plant.model).reference)
    data = judged(log)
    codes, distances = _codes(log), Distances(log, rng)
    clean = judged(ModelRows(plant.model, log.features, plant.rows.rename(columns=_clean_names(plant)), log.reference))
    faulty, late = plant.rows["faulty"].to_numpy(), (plant.rows["at"] >= plant.rows["at"][plant.rows["faulty"]].min()).to_numpy()
    by_label = plant.fault in ("wrong labels", "concept drift")
    if plant.model == "flights-delay":
        large = np.abs(data.error) >= 30
        made, other = (
            large & (np.abs(clean.error) <= np.abs(data.error) / 2),
            data.wrong & (np.abs(clean.error) >= 0.8 * np.abs(data.error)),
        )
    else:
        made, other = data.wrong & (~clean.wrong | by_label), data.wrong & (clean.wrong | by_label)
    beside = by_label or plant.fault == "degraded path"
    places = [
        int(rng.choice(np.flatnonzero(made & faulty))),
        int(rng.choice(np.flatnonzero(other & late & (~faulty if beside else faulty)))),
    ]
    cases = []
    for kind, place in zip("AB", places, strict=True):
        among = ~faulty if plan.strict and plant.inputs and kind == "B" else np.ones(len(faulty), bool)
        evidence = case_evidence(data, place, codes, distances, rng, plan.strict, among)
        accept, honest = key_of(evidence)
        source = {"wrong labels": "label", "concept drift": "weak_slice", "worse version": "version", "degraded path": "degraded_path"}.get(
            plant.fault, "input"
        )
        if kind == "A":
            accept, honest = [source], plant.fault in UNSEEN_IN_ROW or (source == "input" and not evidence["repair"]["clear"])
        elif plant.fault in ("wrong labels", "worse version") and source not in accept:
            accept = [*accept, source]
        planted = {"fault": plant.fault, "kind": kind, "inputs": list(plant.inputs)}
        cases.append(_case(data, place, log=plant.name, planted=planted, accept=accept, honest=honest, evidence=evidence))
    return cases


def _clean_names(plant: PlantedLog) -> dict[str, str]:
    names = score_columns(plant.model)
    return {name: f"served_{name}" for name in names} | {f"clean_{name}": name for name in names}


def deal(cases: list[dict[str, Any]], rng: np.random.Generator) -> None:
    """Deal the cases of each group at random into two halves."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        groups.setdefault("planted" if case["planted"] else case["model"], []).append(case)
    for k, group in enumerate(groups.values()):
        for number, place in enumerate(rng.permutation(len(group))):
            group[place]["half"] = "development" if (number + k) % 2 == 0 else "held"


def main() -> None:
    """Write a key with its evidence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", type=int, choices=tuple(KEYS), default=1)
    plan = KEYS[parser.parse_args().key]
    rng = np.random.default_rng(plan.seed)
    cases = [case for model in MODELS for case in fleet_cases(model, rng, plan)]
    cases += [case for make in plan.plants.values() for case in planted_cases(make(), rng, plan)]
    deal(cases, rng)
    lines = ",\n".join(json.dumps(case, default=lambda value: value.item()) for case in cases)
    plan.file.write_text(f'{{"seed": {plan.seed}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()

"""Does a learned admission policy of a cache beat plain LRU on the fleet's own requests? `python sample_data/cache.py`

Everything here is run for real. The trace is the order in which flights-delay was asked from April to December 2013: each request needs the
record of its route (carrier, origin, destination), and the cache holds 120 records. A miss costs as many rows as the route has earlier
flights. The old rule admits every route (LRU). The model, a small gradient boosting fitted on the requests before the last five weeks,
predicts whether a route is soon asked for again, and admits only such routes. A twin of the cache follows the old rule all the time, so
that each decision has both outcomes. Each decision holds the expected cost of the next request and its 90 % interval, both from the miss
rate of earlier similar decisions. Three things are invented: the cache itself, the hours in which the old rule steers (every fifth, so that
rule and model see each hour of the day equally often), and a drill of the kill switch on 18 December. Decisions repeat exactly under the
same versions of LightGBM and numpy.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
DECISIONS, OUTCOMES = "cache.predictions.parquet", "cache.labels.parquet"
MODEL, VERSION = "route-cache", "1"
FEATURES = ("gap", "mean_gap", "recent", "rows", "hour", "weekday", "cached")
PLACES, SOON = 120, 260
"""Capacity of the cache in routes, and the number of requests within which a route must be asked for again to be worth its place."""
DAYS = 35
BLOCK, SHARE = pd.Timedelta(hours=1), 5
"""Length of a block of time; the old rule steers one block in SHARE."""
DRILL = (pd.Timestamp("2013-12-18 12:00", tz="UTC"), pd.Timestamp("2013-12-18 18:00", tz="UTC"))
GUARD_ROWS, GUARD_TIMES, GUARD_REST = 300, 1.25, 60
"""If the last GUARD_ROWS requests cost GUARD_TIMES as much as under the old rule, the guardrail takes over for GUARD_REST requests."""
PARAMETERS = {
    "objective": "binary", "num_leaves": 15, "learning_rate": 0.05, "min_data_in_leaf": 100, "verbose": -1, "seed": 7,
    "deterministic": True, "num_threads": 1, "force_row_wise": True,
}  # fmt: skip
ROUNDS = 120
LEVEL = 0.9
"""Coverage of the interval of a decision: the probability that the cost of the next request lies in it."""


@dataclass
class RouteCache:
    """A cache that evicts the least recently used route."""

    places: int
    held: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def use(self, route: str, admit: bool) -> bool:
        """Whether the route is in the cache. A missing route is added if `admit` is set."""
        hit = route in self.held
        if hit:
            self.held.move_to_end(route)
        elif admit:
            self.held[route] = None
            if len(self.held) > self.places:
                self.held.popitem(last=False)
        return hit


def requests(folder: Path) -> pd.DataFrame:
    """The requests in their order: id, at, route."""
    columns = ["id", "at", "carrier", "origin", "destination"]
    rows = pd.read_parquet(folder / "flights-delay.predictions.parquet", columns=columns).sort_values(["at", "id"], ignore_index=True)
    return rows[["id", "at"]].assign(route=rows["carrier"] + " " + rows["origin"] + " " + rows["destination"])


def history_features(trace: pd.DataFrame, rows: dict[str, int]) -> tuple[pd.DataFrame, np.ndarray]:
    """The known facts at each request, and the number of requests until its route is requested again (infinite if never)."""
    place = pd.Series(np.arange(len(trace)))
    by = place.groupby(trace["route"])
    gap = by.diff()
    following = (by.shift(-1) - place).fillna(np.inf).to_numpy()
    mean_gap = gap.groupby(trace["route"]).transform(lambda gaps: gaps.ewm(alpha=0.2, ignore_na=True).mean())
    ordinal = by.cumcount()
    recent = np.zeros(len(trace))
    latest: dict[str, list[int]] = {}
    for index, route in enumerate(trace["route"]):
        seen = latest.setdefault(route, [])
        recent[index] = sum(index - each <= 2000 for each in seen[-60:])
        seen.append(index)
    local = trace["at"].dt.tz_convert("America/New_York")
    table = pd.DataFrame(
        {
            "gap": gap.fillna(9999.0),
            "mean_gap": mean_gap.fillna(9999.0).round(1),
            "recent": recent,
            "rows": [float(rows.get(route, 1)) for route in trace["route"]],
            "hour": local.dt.hour.astype(float),
            "weekday": local.dt.weekday.astype(float),
        }
    )
    return table.assign(first=(ordinal == 0)), following


def fitted_model(table: pd.DataFrame, following: np.ndarray, until: int) -> Any:
    """The model, fitted on the requests before `until` whose next SOON requests also lie before it."""
    import lightgbm

    known = np.arange(len(table)) + SOON < until
    names = [name for name in FEATURES if name != "cached"]
    data = lightgbm.Dataset(table.loc[known, names], (following[known] <= SOON).astype(int))
    return lightgbm.train(PARAMETERS, data, ROUNDS)


def steered_by_rule(at: pd.Timestamp) -> bool:
    """Whether the old rule steers the block in which a time lies."""
    return int(at.timestamp() // BLOCK.total_seconds()) % SHARE == 0


def replayed(trace: pd.DataFrame, soon: np.ndarray, cost: np.ndarray, threshold: float, shares: bool) -> pd.DataFrame:
    """Run both caches over all requests. Returns for each request: who steered, the decision, whether the route was cached, and both costs.

    soon: the predicted probability that the route is soon asked for again. shares: whether the old rule, the drill and the guardrail steer
    a part of the requests.
    """
    own, twin = RouteCache(PLACES), RouteCache(PLACES)
    spent, base = np.zeros(len(trace)), np.zeros(len(trace))
    rest, lines = 0, []
    for index, (at, route) in enumerate(zip(trace["at"], trace["route"])):
        window = slice(max(index - GUARD_ROWS, 0), index)
        if shares and rest == 0 and index >= GUARD_ROWS and spent[window].sum() > GUARD_TIMES * base[window].sum():
            rest = GUARD_REST
        by = "model"
        if shares and DRILL[0] <= at < DRILL[1]:
            by = "off"
        elif shares and steered_by_rule(at):
            by = "heuristic"
        elif rest:
            by = "guardrail"
        rest = max(rest - 1, 0)
        admit = by != "model" or soon[index] >= threshold
        cached = own.use(route, admit)
        rule_cached = twin.use(route, True)
        spent[index], base[index] = (0.0 if hit else cost[index] for hit in (cached, rule_cached))
        decision = "keep" if cached else "admit" if admit else "bypass"
        lines.append((by, decision, cached, "keep" if rule_cached else "admit"))
    return pd.DataFrame(lines, columns=["by", "decision", "cached", "baseline"]).assign(spent=spent, base=base)


def next_place(routes: Sequence[str]) -> np.ndarray:
    """The index of the next request for the same route; -1 if there is none."""
    found = np.full(len(routes), -1)
    last: dict[str, int] = {}
    for index in range(len(routes) - 1, -1, -1):
        found[index] = last.get(routes[index], -1)
        last[routes[index]] = index
    return found


def miss_rate(run: pd.DataFrame, soon: np.ndarray, following: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The share of misses at the next request for a route, after decisions with similar features.

    known: requests whose outcome the model may learn from.
    """
    tenth = np.minimum((soon * 20).astype(int), 19)
    held = run["decision"].to_numpy() != "bypass"
    place = np.where(held, tenth, 20 + tenth)
    learned = known & (following >= 0)
    missed = np.zeros(len(run))
    missed[learned] = run["spent"].to_numpy()[following[learned]] > 0
    n = np.bincount(place[learned], minlength=40)
    rate = (np.bincount(place[learned], missed[learned], 40) + 1.0) / (n + 2.0)
    return rate[place]


def cost_interval(rate: np.ndarray, cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shortest interval that contains the cost of the next request with probability LEVEL. A request costs either nothing or all rows
    of its route.
    """
    return np.where(rate >= LEVEL, cost, 0.0), np.where(rate <= 1 - LEVEL, 0.0, cost)


def make(out: Path) -> dict[str, Any]:
    """Write both files, and return the cost of the replay."""
    trace = requests(out)
    begins = trace["at"].max().normalize() + pd.Timedelta(days=1) - pd.Timedelta(days=DAYS)
    start = int((trace["at"] < begins).sum())
    rows = {str(route): int(n) for route, n in trace["route"].iloc[:start].value_counts().items()}
    table, ahead = history_features(trace, rows)
    model = fitted_model(table, ahead, start)
    soon = model.predict(table[[name for name in FEATURES if name != "cached"]], num_threads=1)
    cost = table["rows"].to_numpy()
    threshold = best_threshold(trace, soon, cost, start)
    following = next_place(trace["route"].tolist())
    places = np.arange(len(trace))
    run = replayed(trace, soon, cost, threshold, shares=True)
    learnable = (places >= start // 2) & (places < start) & (following >= 0) & (following < start)
    missing = miss_rate(run, soon, following, learnable)
    shown = places[(places >= start)]
    write(out, trace, table, run, missing, following, shown)
    part = run.iloc[start:]
    steered = part[part["by"] == "model"]
    counts = {str(by): int(n) for by, n in part["by"].value_counts().items()}
    return {
        "threshold": threshold,
        "rows": float(steered["spent"].sum()),
        "rows of the rule": float(steered["base"].sum()),
        "requests": counts,
    }


def best_threshold(trace: pd.DataFrame, soon: np.ndarray, cost: np.ndarray, start: int) -> float:
    """The threshold of admission that costs least over the four weeks before the sample."""
    since = max(start - 9000, 0)
    part = trace.iloc[since:start].reset_index(drop=True)
    costs = {t: replayed(part, soon[since:start], cost[since:start], t, False)["spent"].sum() for t in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)}
    return min(costs, key=lambda each: (costs[each], each))


def write(
    out: Path, trace: pd.DataFrame, table: pd.DataFrame, run: pd.DataFrame, missing: np.ndarray, following: np.ndarray, shown: np.ndarray
) -> None:
    """Write the decisions of the last weeks, and those outcomes that are known by the end of these weeks."""
    own, about = run.iloc[shown].reset_index(drop=True), trace.iloc[shown].reset_index(drop=True)
    at = about["at"].astype("datetime64[ms, UTC]")
    head = pd.DataFrame({"id": "route-" + about["id"].astype(str), "model": MODEL, "version": VERSION, "environment": "controller"})
    rate, cost = missing[shown], table["rows"].to_numpy()[shown]
    low, high = cost_interval(rate, cost)
    head = head.assign(at=at, received_at=at, prediction=own["decision"], score=np.round(rate * cost, 1), score_low=low, score_high=high)
    head["status"] = np.where(own["by"] == "guardrail", "fallback", "ok")
    inputs = table.iloc[shown].reset_index(drop=True).assign(cached=own["cached"].astype(float))
    features = inputs[list(FEATURES)]
    steering = {"steered_by": np.where(own["by"] == "model", "model", "heuristic"), "kill_switch": (own["by"] == "off").to_numpy()}
    decisions = pd.concat([head, features], axis=1).assign(
        baseline=own["baseline"], **steering, interval_level=LEVEL, unit="rows", system="cache"
    )
    decisions.to_parquet(out / DECISIONS, index=False, compression="zstd")
    later = following[shown]
    known = later >= 0
    came = trace["at"].iloc[later[known]].reset_index(drop=True).astype("datetime64[ms, UTC]")
    labels = pd.DataFrame({"id": head["id"][known].to_numpy(), "model": MODEL}).assign(at=came, received_at=came)
    labels["value"], labels["baseline_outcome"] = run["spent"].to_numpy()[later[known]], run["base"].to_numpy()[later[known]]
    labels.to_parquet(out / OUTCOMES, index=False, compression="zstd")


if __name__ == "__main__":
    print(make(HERE))

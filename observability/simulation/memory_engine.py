"""An `Engine` over rows in memory, for the replay of planted faults.

Its answers equal those of the DuckDB store (tests/store/test_engine_questions.py). Rows are held by day and version. The counts of each day
are computed once for each set of arrived rows, and kept. An answer is the sum of such counts. Planting a fault therefore recomputes only
the days that it changed, and all faults share the clean past.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Catalog, Model, Version
from observability.core.questions import Aggregate, Bucket, By, Question, Records, Sample
from observability.core.step_shares import step_strides
from observability.core.time import aware_utc, naive_utc
from observability.core.window import EPOCH, Window
from observability.detection.run_ranks import blocks_of_runs
from observability.metrics.training_curves import record_number
from observability.records.kinds import OF_ALL_MODELS, OF_RUNS
from observability.simulation.coded_rows import CodedRows
from observability.simulation.counting import Figures, grouped_figures, summed_figures
from observability.simulation.findings_cache import FindingsCache
from observability.stats.arrays import Array, Bools
from observability.stats.extreme_blocks import BLOCK, outlying_blocks
from observability.store.engine import Engine
from observability.store.types.answer_columns import CODE_COLUMNS, text_column

if TYPE_CHECKING:
    from pandas import DataFrame


DAY, HOUR = np.timedelta64(1, "D"), np.timedelta64(1, "h")


@dataclass(eq=False)
class DayRows:
    """The rows of one version on one day of event time; for a reference, all of its rows.

    answers: kept counts by question, slice and state of arrival (see `state`).
    """

    version: Version
    coded: CodedRows
    day: Any
    answers: dict[Any, Figures] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = self.coded.rows
        self.arrivals = np.sort(rows["arrived"])
        labels = rows["label_arrived"]
        self.label_arrivals = np.sort(labels[~np.isnat(labels) & ~np.isnan(rows["label"])])

    def state(self, as_of: Any) -> tuple[int, int]:
        """How many predictions and labels had arrived by `as_of`: two numbers that identify the set of arrived rows."""
        if as_of is None:
            return len(self.arrivals), len(self.label_arrivals)
        return int(np.searchsorted(self.arrivals, as_of, "right")), int(np.searchsorted(self.label_arrivals, as_of, "right"))


@dataclass
class MemoryEngine(Engine):
    """A model's log in memory.

    references: the reference of each version. records: frames of other records by kind, oldest first. clean: ids of the parts without a
    fault; answers from such parts only are kept in `shared` and serve all faults. before: kept findings about equal answers. levels: for
    each key, the code of each text.
    """

    model: Model
    parts: dict[Any, list[DayRows]]
    references: dict[str, DayRows]
    records: Mapping[str, "DataFrame"] = field(default_factory=dict)
    clean: frozenset[int] = frozenset()
    shared: dict[Any, "DataFrame"] = field(default_factory=dict)
    before: FindingsCache = field(default_factory=FindingsCache)
    levels: dict[str, dict[str | None, int]] = field(default_factory=dict)

    def add(self, parts: Iterable[DayRows]) -> None:
        """Add rows to the log."""
        for part in parts:
            self.parts.setdefault(part.day, []).append(part)

    def ask(self, question: Question, window: Window) -> "DataFrame":
        """The answer to a question; empty for attributions and estimated errors, which are computed after loading."""
        if isinstance(question, Aggregate):
            return self.aggregate(question, window)
        if isinstance(question, Sample):
            return self.sample(question, window)
        if isinstance(question, Records):
            return self.record_frame(question, window)
        from observability.simulation.empty_frames import empty_enrichment_answer

        version = self.model.version(window.version)
        return empty_enrichment_answer(question, version.features if version else ())

    def catalog(self) -> Catalog:
        """The catalog of the one model."""
        return Catalog((self.model,))

    def snapshot(self) -> AbstractContextManager[None]:
        """A context that does nothing, because the rows do not change."""
        return nullcontext()

    def activity(self, as_of: datetime | None = None, model: str | None = None) -> "DataFrame":
        """Every version that has rows: the hours of its first and last prediction and of its newest arrival (for a reference all
        are NaT).
        """
        import pandas as pd

        limit = None if as_of is None else _whole_hour(_array_instant(as_of))
        streams: dict[tuple[str, str], list[DayRows]] = {(name, "reference"): [part] for name, part in self.references.items()}
        for part in (part for parts in self.parts.values() for part in parts):
            streams.setdefault((part.version.name, "production"), []).append(part)
        rows: list[tuple[Any, ...]] = []
        for (version, environment), parts in streams.items() if model in (None, self.model.name) else ():
            seen = [(part.coded, part.coded.seen(limit)) for part in parts]
            at = np.concatenate([coded.rows["at"][mask] for coded, mask in seen])
            if not at.size:
                continue
            arrivals = [coded.rows["arrived"][mask] for coded, mask in seen]
            arrivals += [coded.rows["label_arrived"][mask & coded.labelled(limit)] for coded, mask in seen]
            times = [at.min(), at.max(), _next_hour(np.concatenate(arrivals).max())]
            if environment == "reference":
                times = [np.datetime64("NaT", "us")] * 3
            rows.append((self.model.name, version, environment, at.size, *(each.astype("datetime64[h]") for each in times)))
        frame = pd.DataFrame(rows, columns=["model", "version", "environment", "rows", "first", "last", "last_arrived"])
        kinds = dict.fromkeys(("model", "version", "environment"), object) | dict.fromkeys(
            ("first", "last", "last_arrived"), "datetime64[us]"
        )
        return frame.astype({**kinds, "rows": np.int64})

    def newest_record(self, kinds: Sequence[str], model: str, before: datetime, as_of: datetime | None = None) -> datetime | None:
        """Event time of the newest record of some kinds before an instant; None if there is none."""
        found = []
        for kind in kinds:
            frame = self.ask(Records(kind, ever=True, rows=1), Window(model, EPOCH, before, as_of=as_of))
            found += [] if frame.empty else [frame["at" if "at" in frame else "from"].iloc[-1].to_pydatetime()]
        return aware_utc(max(found)) if found else None

    def chosen(self, window: Window) -> list[DayRows]:
        """The parts that a window touches."""
        if window.environment == "reference":
            return [part for name, part in self.references.items() if window.version in (None, name)]
        if window.environment != "production":
            return []
        first, end = _array_instant(window.start), _array_instant(window.end)
        days = np.arange(first.astype("datetime64[D]"), (end - np.timedelta64(1, "us")).astype("datetime64[D]") + DAY)
        return [part for day in days for part in self.parts.get(day, ()) if window.version in (None, part.version.name)]

    def aggregate(self, question: Aggregate, window: Window) -> "DataFrame":
        """The answer to an aggregate."""
        parts = self.chosen(window)
        as_of, key = _arrival_limit(window), self.answer_key(question, window, parts)
        if (known := self.shared.get(key)) is not None:
            return known
        found = [self.counted(part, question, window, as_of) for part in parts]
        answer = self.assembled(question, summed_figures([each for each in found if each[0].size], question))
        return self.kept(key, parts, answer)

    @staticmethod
    def answer_key(question: Aggregate | Sample, window: Window, parts: list[DayRows]) -> Any:
        """The key of an answer: the question, and the state of the rows that are asked about."""
        as_of = _arrival_limit(window)
        return question, window.slice, tuple((id(part), part.state(as_of)) for part in parts), _ragged_bounds(window)

    def kept(self, key: Any, parts: list[DayRows], answer: "DataFrame") -> "DataFrame":
        """Return the answer; if it comes from clean parts only, keep it for all faults."""
        if all(id(part) in self.clean for part in parts):
            self.shared[key] = answer
            self.before.keep(answer)
        return answer

    def counted(self, part: DayRows, question: Aggregate, window: Window, as_of: Any) -> Figures:
        """The counts that the rows of one part add to an answer."""
        key = (question, window.slice, part.state(as_of), (window.start, window.end) if _cuts_day(part, window) else None)
        if key not in part.answers:
            part.answers[key] = self.count(part, question, _rows_in_window(part, window, as_of), as_of)
        return part.answers[key]

    def count(self, part: DayRows, question: Aggregate, mask: Bools, as_of: Any) -> Figures:
        """Counts of the rows where the mask holds, grouped by the question's keys."""
        coded = part.coded
        keys = [self.key_codes(part, key, as_of) for key in question.keys]
        weights = coded.weights
        if question.histogram or question.sums:
            found = []
            for place, reference in enumerate(question.histogram or question.sums):
                if question.histogram:
                    bins, counted = coded.bins(reference, as_of)
                    item = [*keys, np.full(bins.size, place), bins]
                    found.append(grouped_figures(item, mask & counted, weights, None))
                else:
                    values, counted = coded.summed(reference, as_of)
                    found.append(grouped_figures([*keys, np.full(values.size, place)], mask & counted, weights, values))
            return tuple(np.concatenate(each) for each in zip(*found, strict=True))
        return grouped_figures(keys, mask, weights, None)

    def key_codes(self, part: DayRows, key: Bucket | By, as_of: Any) -> Array:
        """The code of each row for one key: hours since 1970, class index, or place in `levels`."""
        coded = part.coded
        if isinstance(key, Bucket):
            if part.day is None:
                return np.zeros(len(coded.rows), np.int64)
            return coded.hours - (coded.hours % 24 if key.period == "day" else 0)
        name = key.column
        if name == "version":
            return np.full(len(coded.rows), self.level("version", part.version.name))
        if name in CODE_COLUMNS:
            return coded.codes(name, as_of)
        own, names = coded.levels(name)
        places = np.array([self.level(name, each) for each in names], np.int64)
        return places[own]

    def level(self, name: str, text: str | None) -> int:
        """The code of a level; a new level gets the next free code."""
        known = self.levels.setdefault(name, {})
        return known.setdefault(text, len(known))

    def assembled(self, question: Aggregate, figures: Figures) -> "DataFrame":
        """The answer as a frame with named and typed columns, its rows in the order of the keys."""
        import pandas as pd

        names = question.key_names
        counts = ("n", "w", "w2", *(("total", "squares", "low", "high") if question.sums else ()))
        if not figures:
            figures = tuple(np.empty(0, np.int64) for _ in range(len(names) + 1)) + tuple(np.empty(0) for _ in counts[1:])
            if not names:
                figures = tuple(np.zeros(1) for _ in counts)
        keys, values = list(figures[: len(names)]), figures[len(names) :]
        shown: list[Array] = []
        orders: list[Array] = []
        for place, name in enumerate(names):
            column = rank = keys[place]
            if place >= len(question.keys):
                items = np.array((*(question.histogram or question.sums), None), object)[:-1]
                column = rank if name == "bin" else items[rank]
            elif isinstance(question.keys[place], Bucket):
                column = rank.astype("datetime64[h]").astype("datetime64[us]")
            elif name not in CODE_COLUMNS:
                known = list(self.levels.get(name, {})) or [None]
                column = np.array([*known, None], object)[:-1][rank]
                ranks = np.empty(len(known), np.int64)
                ranks[sorted(range(len(known)), key=lambda each: (known[each] is None, known[each] or ""))] = np.arange(len(known))
                rank = ranks[rank]
            shown.append(column)
            orders.append(rank)
        order = np.lexsort(orders[::-1]) if orders else np.arange(values[0].size)
        order = order[values[0][order] != 0]
        answer: dict[str, Any] = {}
        for place, name in enumerate(names):
            column = shown[place][order]
            answer[name] = pd.Series(text_column(column), dtype=object) if column.dtype == object else pd.Series(column)
        for name, column in zip(counts, values, strict=True):
            answer[name] = pd.Series(column[order].astype(np.int64 if name == "n" else np.float64))
        return pd.DataFrame(answer)

    def sample(self, question: Sample, window: Window) -> "DataFrame":
        """The answer to a question for a sample: the rows with the smallest hash of the id."""
        import pandas as pd

        parts = self.chosen(window)
        as_of, key = _arrival_limit(window), self.answer_key(question, window, parts)
        if (known := self.shared.get(key)) is not None:
            return known
        if not parts:
            return pd.DataFrame({name: [] for name in question.columns})
        places = []
        for part in parts:
            mask = _rows_in_window(part, window, as_of)
            places.append(part.coded.by_hash[mask[part.coded.by_hash]][: question.rows])
        hashes = np.concatenate([part.coded.sample_hash[own] for part, own in zip(parts, places)])
        order = np.argsort(hashes, kind="stable")[: question.rows]
        answer = {}
        for name in question.columns:
            column = np.concatenate([part.coded.cells(name, as_of)[own] for part, own in zip(parts, places)])[order]
            answer[name] = pd.Series(text_column(column), dtype=object) if column.dtype == object else pd.Series(column)
        return self.kept(key, parts, pd.DataFrame(answer))

    def record_frame(self, question: Records, window: Window) -> "DataFrame":
        """The records that a question asks for; an empty frame if none of their kind are in memory."""
        from observability.simulation.empty_frames import empty_records

        frame = self.records.get(question.kind)
        if frame is None:
            return empty_records(question)
        if "extra" in (question.columns or ()) and "extra" not in frame:
            frame = frame.assign(extra=None)
        moment = "at" if "at" in frame else "from"
        keep = frame[moment] < _array_instant(window.end)
        if not question.ever:
            keep &= frame[moment] >= _array_instant(window.start)
        if window.as_of is not None:
            keep &= frame["arrived"] <= _array_instant(window.as_of)
        keep &= self._own_records(question.kind, frame, window)
        for name, wanted in question.only:
            keep &= frame[name].isin([wanted] if isinstance(wanted, str) else wanted)
        names = list(question.columns or frame.columns.drop("arrived"))
        if question.blocks:
            return blocks_of_runs(frame[keep])
        if question.spread:
            frame = _spread_steps(frame[keep], question.rows, question.spread)
            return frame[[*names, "stride"]].reset_index(drop=True)
        if question.counted:
            return frame.loc[keep, names].groupby(names, dropna=False).size().rename("n").reset_index()
        return frame.loc[keep, names].tail(question.rows).reset_index(drop=True)

    def _own_records(self, kind: str, frame: "DataFrame", window: Window) -> Any:
        """A mask of the records that belong to the window's model; see core/questions.py."""
        in_run = kind in OF_RUNS
        if not window.model or kind == "label" or not (in_run or "model" in frame):
            return True
        unnamed = frame["model"].isna() if "model" in frame else np.ones(len(frame), bool)
        own = frame["model"] == window.model if "model" in frame else ~unnamed
        return own | (unnamed & frame["run"].isin(self._named_runs(window)) if in_run else unnamed & (kind in OF_ALL_MODELS))

    def _named_runs(self, window: Window) -> set[str]:
        """The runs with an arrived record that names the window's model."""
        found: set[str] = set()
        for kind in ("run", "resource"):
            frame = self.records.get(kind)
            if frame is not None:
                own = (frame["model"] == window.model) & frame["run"].notna()
                if window.as_of is not None:
                    own &= frame["arrived"] <= _array_instant(window.as_of)
                found |= set(frame.loc[own, "run"])
        return found

    def counters(self, model: str, window: Window) -> dict[str, Any]:
        """The counts that the loader would have made, by whole hours of arrival."""
        start, end = _whole_hour(_array_instant(window.start)), _next_hour(_array_instant(min(window.end, window.as_of or window.end)))
        stored = duplicates = 0
        of_duplicates: set[int] = set()
        unknown: dict[str, int] = {}
        for parts in self.parts.values():
            for part in parts:
                arrived = part.coded.rows["arrived"]
                inside = (arrived >= start) & (arrived < end)
                stored += int(inside.sum())
                if (copies := part.coded.rows.get("copies")) is not None:
                    duplicates += int(copies[inside].sum())
                    of_duplicates.update(arrived[inside & (copies > 0)].astype("datetime64[h]").astype(np.int64).tolist())
        for part in self.chosen(window):
            seen = part.coded.seen(None if window.as_of is None else _whole_hour(_array_instant(window.as_of)))
            for name, values in part.coded.rows.columns.items():
                if name.startswith("extra.") and (count := int((seen & part.coded.given(values)).sum())):
                    unknown[name.removeprefix("extra.")] = unknown.get(name.removeprefix("extra."), 0) + count
        counts = {"lines": stored + duplicates, "stored": stored, "duplicates": duplicates, "rejected": 0}
        return counts | {"duplicate_hours": len(of_duplicates), "rejected_hours": 0, "rules": {}, "unknown_columns": unknown}

    def canary_sightings(self, window: Window) -> "DataFrame":
        """An empty frame, because a simulated log has no exports."""
        import pandas as pd

        names = ("canary", "exported", "recipient", "model", "version", "environment", "id", "at", "place", "record")
        return pd.DataFrame({name: pd.Series(dtype=object) for name in names})

    def events(self, model: str | None, start: datetime, end: datetime, as_of: datetime | None = None) -> "DataFrame":
        """An empty frame, because no events are planted."""
        import pandas as pd

        frame = pd.DataFrame(
            {name: pd.Series(dtype=object) for name in ("at", "model", "version", "what", "text", "prediction", "subject")}
        )
        return frame.astype({"at": "datetime64[us]"})


def _array_instant(when: datetime) -> Any:
    """An instant as a numpy datetime."""
    return np.datetime64(naive_utc(when), "us")


def _arrival_limit(window: Window) -> Any:
    """The instant by which rows must have arrived; None if all of them count."""
    return None if window.as_of is None or window.environment == "reference" else _array_instant(window.as_of)


def _rows_in_window(part: DayRows, window: Window, as_of: Any) -> Bools:
    """A mask of the rows that lie in the window and its slice and had arrived by `as_of`."""
    mask = part.coded.seen(as_of)
    if _cuts_day(part, window):
        at = part.coded.rows["at"]
        mask = mask & (at >= _array_instant(window.start)) & (at < _array_instant(window.end))
    return mask if window.slice is None else mask & part.coded.within(window.slice, part.version)


def _whole_hour(when: Any) -> Any:
    """An instant rounded down to the hour."""
    return when.astype("datetime64[h]").astype("datetime64[us]")


def _next_hour(when: Any) -> Any:
    """An instant rounded up to the hour, because the store counts arrivals by whole hours."""
    hour = _whole_hour(when)
    return hour if hour == when else hour + HOUR


def _ragged_bounds(window: Window) -> tuple[datetime, datetime] | None:
    """Start and end of a window that does not consist of whole days; None if it does, or if it is the window of a reference."""
    if window.environment == "reference" or window.on_grain(timedelta(days=1)):
        return None
    return window.start, window.end


def _cuts_day(part: DayRows, window: Window) -> bool:
    """Whether a window covers only some of the day of these rows."""
    if part.day is None:
        return False
    return bool(_array_instant(window.start) > part.day or _array_instant(window.end) < part.day + DAY)


def _first_and_last_not_finite(steps: "DataFrame") -> Bools:
    """A mask of the steps at which a metric of a run first or last has a value that is not finite."""
    seen: dict[tuple[Any, str], list[int]] = {}
    for run, step, metrics in zip(steps["run"], steps["step"], steps["metrics"], strict=True):
        for name, value in metrics.items() if isinstance(metrics, dict) else ():
            if (number := record_number(value)) is not None and not math.isfinite(number):
                seen.setdefault((run, name), []).append(int(step))
    ends = {(run, step) for (run, _), own in seen.items() for step in (min(own), max(own))}
    return np.array([(run, int(step)) in ends for run, step in zip(steps["run"], steps["step"], strict=True)], bool)


def _steps_of_extremes(steps: "DataFrame") -> Bools:
    """A mask of the steps at which the mean of a metric over ranks is extreme compared with the neighbouring blocks
    (stats/extreme_blocks.py).
    """
    import pandas as pd

    logged = [
        (run, name, step // BLOCK, step, number)
        for run, step, metrics in zip(steps["run"], steps["step"].astype("int64"), steps["metrics"], strict=True)
        for name, value in (metrics.items() if isinstance(metrics, dict) else ())
        if (number := record_number(value)) is not None and math.isfinite(number)
    ]
    keys = ["run", "metric", "block"]
    means = pd.DataFrame(logged, columns=[*keys, "step", "value"]).groupby([*keys, "step"], as_index=False)["value"].mean()
    found: set[tuple[Any, int]] = set()
    for sign in (-1.0, 1.0):
        blocks = means.loc[(sign * means["value"]).groupby([means[key] for key in keys]).idxmax()].sort_values(keys)
        far = blocks.iloc[outlying_blocks(blocks.groupby(keys[:2]).ngroup().to_numpy(), sign * blocks["value"].to_numpy(float))]
        found |= set(zip(far["run"], far["step"], strict=True))
    return np.array([(run, int(step)) in found for run, step in zip(steps["run"], steps["step"], strict=True)], bool)


def _spread_steps(steps: "DataFrame", rows: int, most: int) -> "DataFrame":
    """The steps of each run that store/query/records.py would choose, with their `stride`, in order of time."""
    import pandas as pd

    runs = steps.groupby("run").agg(n=("step", "size"), newest=("at", "max")).reset_index()
    runs = runs.sort_values(["newest", "run"], ascending=[False, True])
    stride = steps["run"].map(dict(zip(runs["run"], step_strides(runs["n"].tolist(), rows, most), strict=True))).astype("int64")
    by_run = steps.groupby("run")["step"]
    first, last = by_run.transform("min"), by_run.transform("max")
    gap = ((last - first) / (by_run.transform("nunique") - 1).clip(lower=1)).round().clip(lower=1).astype("int64")
    found = steps.assign(stride=stride)
    is_odd = _first_and_last_not_finite(steps)
    is_long = (stride > 1).to_numpy()
    is_odd[is_long] |= _steps_of_extremes(steps[is_long])
    is_nth = (steps["step"] - first) // gap % stride.clip(lower=1) == 0
    is_nth |= steps["step"] == last
    found.loc[(stride > 1) & ~is_nth, "stride"] = 1
    chosen = found[(stride == 1) | ((stride > 1) & (is_nth | is_odd))]
    if (stride > 0).all():
        return chosen
    ends = found[stride == 0].groupby(["run", "stride"], as_index=False)
    unread = pd.concat([getattr(ends[["at", "step"]], end)() for end in ("min", "max")]).drop_duplicates()
    return pd.concat([unread.reindex(columns=found.columns), chosen]).sort_values("at", kind="stable", ignore_index=True)

"""The reference engine: it computes answers in a slow and obvious way, for tests of the other engines.

It reads every raw row of a store with SELECT * and goes through them one by one, in plain Python, with sums and searches of the standard
library. It shares no expression, binning or rollup with the DuckDB engine. Counts must be equal (tests/store/test_engine*.py), and so must
findings.
"""

import contextlib
import json
import math
import re
import statistics
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, timedelta

import pandas as pd

from observability.core.errors import NotFoundError
from observability.core.questions import (
    CONTROLLER_DECISION,
    Attributions,
    Bucket,
    By,
    EstimatedErrors,
    Records,
    Sample,
    record_kind,
)
from observability.core.window import EPOCH, HOUR, Window
from observability.detection.run_ranks import blocks_of_runs
from observability.records.kinds import KINDS
from observability.store.db.schema import model_table
from observability.store.engine import Engine
from observability.store.types.error_estimates import estimated_registration
from tests.support.reference_rows import missing, rows_of, stored

DAY = timedelta(days=1)
FIELDS = ("score", "latency_ms", "energy_j", "cost", "status", "replica", "device", "batch")
LABEL_NUMBERS = ("label_value", "error", "absolute_error", "squared_error", "log_loss", "brier", "correct")


def refuse_unknown(model, references, table):
    """Raise NotFoundError for a column that the model or the table does not have."""
    of_labels = {
        "label",
        "label_value",
        *(("error", "absolute_error", "squared_error") if model.task == "regression" else ("log_loss", "brier", "correct")),
    }
    known = {
        *FIELDS,
        "version",
        "currency",
        "decision",
        "score_bin",
        *(each.reference for each in model.columns),
        *(of_labels if table == "outcomes" else ()),
    }
    known |= {f"score.{k}" for k in range(len(model.classes))} if model.task == "multiclass" else set()
    known |= {f"band.{each.name}" for each in model.columns if each.sensitive and each.kind == "number"}
    if not set(references) <= known:
        raise NotFoundError("no such column", got=sorted(set(references) - known))


def ask(store, aggregate, window, *, source="auto"):
    """The answer to an aggregate, in the form of observability.store.query.aggregates.ask."""
    asked = [key.column for key in aggregate.keys if isinstance(key, By)]
    refuse_unknown(store.catalog().model(window.model), [*asked, *aggregate.histogram, *aggregate.sums], aggregate.table)
    groups = defaultdict(list)
    for row in rows_of(store, window):
        keys = tuple(row.key(key) for key in aggregate.keys)
        for place, reference in enumerate(aggregate.histogram):
            found = row.bin(reference)
            if found is not None:
                groups[(*keys, place, found)].append((row.weight, 0.0))
        for place, reference in enumerate(aggregate.sums):
            value = row.number(reference)
            if value is not None and math.isfinite(value):
                groups[(*keys, place)].append((row.weight, value))
        if not aggregate.histogram and not aggregate.sums:
            groups[keys].append((row.weight, 0.0))
    answer = []
    for keys in sorted(groups, key=lambda key: tuple((part is None, part) for part in key)):
        held = groups[keys]
        named = list(keys)
        if aggregate.histogram or aggregate.sums:
            named[len(aggregate.keys)] = (aggregate.histogram or aggregate.sums)[keys[len(aggregate.keys)]]
        figures = [len(held), math.fsum(w for w, _ in held), math.fsum(w * w for w, _ in held)]
        if aggregate.sums:
            figures += [
                math.fsum(w * x for w, x in held),
                math.fsum(w * x * x for w, x in held),
                min(x for _, x in held),
                max(x for _, x in held),
            ]
        answer.append((*named, *figures))
    names = [*aggregate.key_names, "n", "w", "w2", *(("total", "squares", "low", "high") if aggregate.sums else ())]
    return typed(store.catalog().model(window.model), pd.DataFrame(answer, columns=names))


def answer(store, question, window):
    """The answer to a question of any kind."""
    ways = {Records: records, Sample: sample, Attributions: attributions, EstimatedErrors: estimated_errors}
    way = ways.get(type(question), ask)
    return way(store, question, window)


def records(store, question, window):
    """The records of a kind, in the form of observability.store.query.records.fetch: read by SELECT *, and everything else in Python."""
    fields = {name: field.type for name, field in KINDS[record_kind(question.kind)].fields.items() if name != "received_at"}
    table = question.kind + ("es" if question.kind.endswith("ch") else "s")
    moment = "at" if "at" in fields else "from"
    if question.kind in ("prediction", CONTROLLER_DECISION):
        everything = environment_records(store, "probe" if question.kind == "prediction" else "controller", window.as_of)
        fields |= {"label": "object"}
    elif question.kind == "label":
        key = store.catalog().model(window.model).key
        everything = [
            each | {"model": window.model, "content_hash": each["id_hash"]} for each in rows_in(store, f"SELECT * FROM labels_{key}")
        ]
    else:
        everything = rows_in(store, f"SELECT * FROM {table}")
    everything = [each for each in everything if all(each[name] == wanted for name, wanted in question.only)]
    start, end, as_of = (None if each is None else each.replace(tzinfo=None) for each in (window.start, window.end, window.as_of))
    runs = {
        each["run"]
        for each in rows_in(store, "SELECT run, model, arrived FROM runs UNION ALL SELECT run, model, arrived FROM resources")
        if each["model"] == window.model and (as_of is None or each["arrived"] <= as_of)
    }
    of_sample = any(each.sample for each in store.catalog().models if each.name == window.model)

    def belongs(each):
        if window.model and each.get("sample") and not of_sample:
            return False
        if not window.model or not ({"model"} & set(fields) or question.kind == "step"):
            return True
        if each.get("model") is None:
            return question.kind == "price" or (question.kind in ("run", "step", "resource") and each["run"] in runs)
        return each["model"] == window.model

    chosen = [
        each
        for each in everything
        if belongs(each) and each[moment] < end and (question.ever or each[moment] >= start) and (as_of is None or each["arrived"] <= as_of)
    ]
    if question.blocks:
        rows = [each | {"phase_ms": as_field(each["phase_ms"], "object")} for each in chosen]
        return blocks_of_runs(pd.DataFrame(rows, columns=["run", "at", "step", "rank", "phase_ms"]))
    if question.spread:
        chosen = spread_steps(chosen, question.spread, question.rows)
        fields = {**fields, "stride": "stride"}
    chosen = sorted(chosen, key=lambda each: (each[moment], each["content_hash"]))
    chosen = chosen if question.spread else chosen[-question.rows :]
    columns = {}
    fields = {**fields, "extra": "object"} if "extra" in (question.columns or ()) else fields
    for name in (*(question.columns or fields), *(("stride",) if question.spread and question.columns else ())):
        kind = {"stride": "int64", "time": "datetime64[us]", "number": "float64", "integer": "Int64"}.get(fields[name], "object")
        columns[name] = pd.Series([as_field(each[name], fields[name]) for each in chosen], dtype="object").astype(kind)
    return pd.DataFrame(columns)


def spread_steps(steps, most, rows):
    """About the given number of steps of each run, evenly spaced and with the last step; each comes with the distance between the kept
    steps of its run. All runs together give at most `rows` rows: each run gets the largest equal share that meets this limit, and only the
    newest runs are read if the shares would be too small.
    """
    runs = {}
    for each in steps:
        runs.setdefault(each["run"], []).append(each)
    names = sorted(sorted(runs), key=lambda run: max(each["at"] for each in runs[run]), reverse=True)
    while len(names) > 1 and sum(min(len(runs[run]), 250) for run in names) > max(rows, 250):
        names.pop()
    share = next((each for each in range(most, 1, -1) if sum(min(len(runs[run]), each) for run in names) <= rows), 1)
    chosen = []
    for run, own in runs.items():
        numbers = {each["step"] for each in own}
        first, last = min(numbers), max(numbers)
        if run not in names:
            ends = {(min(each["at"] for each in own), first), (max(each["at"] for each in own), last)}
            blank = dict.fromkeys(own[0]) | {"run": run, "stride": 0, "content_hash": 0}
            chosen += [blank | {"at": at, "step": step} for at, step in ends]
            continue
        stride, gap = math.ceil(len(own) / share), max(round((last - first) / max(len(numbers) - 1, 1)), 1)
        odd = {}
        for each in own:
            for name, value in json.loads(each["metrics"] or "{}").items():
                if value in ("NaN", "Infinity", "-Infinity"):
                    odd.setdefault(name, []).append(each["step"])
        extra = {*(end for found in odd.values() for end in (min(found), max(found))), *extreme_steps(own)}
        for each in own:
            if (each["step"] - first) // gap % stride == 0 or each["step"] == last:
                chosen.append(each | {"stride": stride})
            elif each["step"] in extra:
                chosen.append(each | {"stride": 1})
    return chosen


def extreme_steps(own):
    """The steps with extreme values. The mean of a metric over ranks is the extreme of its block of 64 step numbers, and lies 12 robust
    standard deviations beyond the median of such extremes in its group of 32 blocks; the last group is the last 32 blocks. Of neighbouring
    steps only the farthest counts. For each metric and direction the five farthest are returned.
    """
    values = {}
    for each in own:
        for name, value in json.loads(each["metrics"] or "{}").items():
            if isinstance(value, int | float) and math.isfinite(value):
                values.setdefault(name, {}).setdefault(each["step"], []).append(value)
    found = set()
    for steps in values.values():
        means = {step: sum(logged) / len(logged) for step, logged in steps.items()}
        for sign in (1, -1):
            blocks = {}
            for step, value in sorted(means.items()):
                blocks.setdefault(step // 64, []).append((-sign * value, step))
            peaks = [(-value, step) for value, step in (min(each) for each in blocks.values())]
            far = {}
            for begin in range(0, len(peaks), 32):
                group = peaks[-32:] if begin + 32 > len(peaks) else peaks[begin : begin + 32]
                middle = statistics.median(value for value, _ in group)
                spread = 1.4826 * statistics.median(abs(value - middle) for value, _ in group)
                least = 1e-12 * max(abs(value) for value, _ in group) + 1e-300
                far |= {step: (value - middle) / max(spread, least) for value, step in group}
            beyond, excursions = False, []
            for _, step in peaks:
                if far[step] >= 12:
                    excursions += [] if beyond else [[]]
                    excursions[-1].append((-far[step], step))
                beyond = far[step] >= 12
            found |= {step for _, step in sorted(map(min, excursions))[:5]}
    return found


def environment_records(store, wanted, as_of):
    """The predictions of an environment for every model, with the fields of a record and the label that was current at a point in time.
    Scores and features are left out if there are none.
    """
    found = []
    for model in store.catalog().models:
        predictions, revisions, streams = stored(store, model)
        for each in predictions:
            version, environment = streams[each["stream"]]
            if environment == wanted:
                known = [
                    one for one in revisions[each["id"]] if as_of is None or one["arrived"] <= as_of.astimezone(UTC).replace(tzinfo=None)
                ]
                newest = max(known, key=lambda one: (one["at"], one["arrived"], one["value"]), default=None)
                label = None if newest is None else json.dumps(json.loads(newest["extra"] or "{}") | {"value": newest["value"]})
                features = {column.name: each[column.column] for column in model.columns if column.role == "feature"}
                score = each["probabilities"] if each["score"] is None or each["probabilities"] else json.dumps(each["score"])
                found.append(
                    each
                    | {"model": model.name, "version": version, "environment": environment, "content_hash": each["id"]}
                    | {"features": json.dumps(features), "score": score, "label": label}
                )
    return found


def estimated_errors(store, question, window):
    """The stored estimates of errors, in the form of observability.store.query.estimates.fetch: every row of both tables, joined and summed
    in Python.
    """
    model = store.catalog().model(window.model)
    as_of = None if window.as_of is None else window.as_of.replace(tzinfo=None)
    held, days = {}, defaultdict(list)
    kept = rows_in(store, f"SELECT version, state FROM enrichment_{model.key} WHERE job = 'errors' AND part = ''")
    states = {each["version"]: json.loads(each["state"]) for each in kept}
    for each in sorted(rows_in(store, f"SELECT * FROM estimates_{model.key}"), key=lambda row: (row["sample_hash"], row["id"])):
        if window.environment == "reference" or as_of is None or each["arrived"] <= as_of:
            days[each["stream"], None if window.environment == "reference" else each["at"].date()].append(each)
    for (_, day), rows in days.items():
        held |= {(each["stream"], each["id"]): each for each in rows[: 200 if day else None]}
    groups = defaultdict(list)
    for row in rows_of(store, window) if model.task == "regression" else ():
        mine, state = held.get((row.fields["stream"], row.fields["id"])), states.get(row.version.name)
        if mine is None or state is None or state["failure"] or state["registration"] != estimated_registration(row.version):
            continue
        for measure, column in (("absolute_error", "absolute"), ("squared_error", "squared")):
            truth = row.number(measure)
            truth = truth if truth is not None and math.isfinite(truth) else None
            groups[row.key(Bucket("day")), measure, int(truth is not None)].append((row.weight, mine[column], truth or 0.0))
    answer = []
    for (period, measure, labelled), rows in sorted(groups.items()):
        sums = [[w for w, _, _ in rows], [w * w for w, _, _ in rows], [w * g for w, g, _ in rows], [w * g * g for w, g, _ in rows]]
        sums += [[w * m for w, _, m in rows], [w * m * m for w, _, m in rows], [w * (g - m) ** 2 * labelled for w, g, m in rows]]
        answer.append([period, measure, labelled, len(rows), *map(math.fsum, sums)])
    figures = ["w", "w2", "estimated", "estimated_squares", "measured", "measured_squares", "difference_squares"]
    frame = pd.DataFrame(answer, columns=["period", "measure", "labelled", "n", *figures])
    kinds = {"period": "datetime64[us]", "measure": "object", "labelled": "int64", "n": "int64"}
    return frame.astype(kinds | dict.fromkeys(figures, "float64"))


def attributions(store, question, window):
    """The stored attributions of a window, in the form of observability.store.query.attributions.fetch: every row of both tables, joined in Python."""
    model = store.catalog().model(window.model)
    held = {(each["stream"], each["id"]): each for each in rows_in(store, f"SELECT * FROM attributions_{model.key}")}
    kept = rows_in(store, f"SELECT version, state FROM enrichment_{model.key} WHERE job = 'explain' AND part = ''")
    orders = {}
    for version, state in ((model.version(each["version"]), json.loads(each["state"])) for each in kept):
        registered = version.registered_at.isoformat() if version.registered_at else None
        if (state["artifact"], state["registered_at"]) == (version.artifact, registered):
            orders[version.name] = state["features"]
    found = []
    for row in rows_of(store, window):
        mine = held.get((row.fields["stream"], row.fields["id"]))
        if mine is not None and row.version.name in orders and (mine["sampled"] or question.errors):
            found.append((row, mine))
    found = sorted(found, key=lambda each: by_sample_hash(each[0].fields))[: question.rows]
    names = list(dict.fromkeys(name for row, _ in found for name in orders[row.version.name]))
    names = names or [*getattr(model.version(window.version), "features", ())]
    lines = []
    for row, mine in found:
        order = orders[row.version.name]
        values = dict(zip(order, [*mine["values"], *[0.0] * (len(order) - len(mine["values"]))]))
        figures = {
            name: mine[name] for name in ("base", "output", "residual", "link", "method", "adds_up", "reproduces", "sampled", "class")
        }
        lines.append(
            {"id": row.fields["id"], "at": row.fields["at"], "weight": row.weight, "version": row.version.name, **figures}
            | {f"attribution.{name}": values.get(name, math.nan) for name in names}
            | {name: cell(row, name) for name in question.columns}
        )
    columns = ["id", "at", "weight", "version", "sampled", "class", "base", "output", "residual", "link", "method", "adds_up", "reproduces"]
    frame = pd.DataFrame(lines, columns=[*columns, *(f"attribution.{name}" for name in names), *question.columns])
    asked = [name for name in question.columns if name not in columns]
    frame[asked] = typed(model, frame[asked].copy(), sample=True)
    return frame.astype(
        {
            "at": "datetime64[us]",
            "sampled": bool,
            "adds_up": bool,
            **dict.fromkeys(("id", "version", "link", "method", "reproduces"), object),
        }
    )


def rows_in(store, query):
    """The rows of a query, as dictionaries."""
    answer = store.cursor().execute(query)
    names = [each[0] for each in answer.description]
    return [dict(zip(names, each)) for each in answer.fetchall()]


def as_field(value, kind):
    """The stored value of a field, in the form in which `fetch` returns it."""
    if value is None or kind not in ("object", "list", "score", "label"):
        return value
    found = json.loads(value)
    return {name: float("nan") if each == "NaN" else each for name, each in found.items()} if isinstance(found, dict) else found


def by_sample_hash(fields):
    """The sort key of a sample. If several versions answered the same id, their rows are ordered by time and stream."""
    return fields["sample_hash"], fields["id"], fields["at"], fields["stream"]


def sample(store, sample, window):
    """The rows of a Sample, in the form of observability.store.query.aggregates.sample."""
    chosen = sorted(rows_of(store, window), key=lambda row: by_sample_hash(row.fields))[: sample.rows]
    cells = [[cell(row, name) for name in sample.columns] for row in chosen]
    return typed(store.catalog().model(window.model), pd.DataFrame(cells, columns=list(sample.columns)), sample=True)


def cell(row, name):
    column = row.model.column(name)
    if name in ("id", "at", "subject", "arrived", "prediction", "extra", *FIELDS) or column is not None:
        return row.fields[name if column is None else column.column]
    if name in ("version", "label", "decision"):
        return {"version": row.version.name, "label": row.code, "decision": int(row.fields["decision"])}[name]
    return row.bin("score") if name == "score_bin" and row.model.classes else -1 if name == "score_bin" else row.number(name)


def typed(model, frame, sample=False):
    """The promised types."""
    for name in frame.columns:
        if name in ("period", "at", "arrived"):
            frame[name] = frame[name].astype("datetime64[us]")
        elif name in ("decision", "label", "score_bin", "bin", "n"):
            frame[name] = frame[name].astype("int64")
        elif name in ("w", "w2", "total", "squares", "low", "high") or (
            sample and (name in ("latency_ms", "energy_j", "cost", *LABEL_NUMBERS) or name.startswith("score"))
        ):
            frame[name] = frame[name].astype("float64")
        elif sample and (column := model.column(name)) is not None and column.kind == "number":
            frame[name] = frame[name].astype("float64")
        else:
            frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame


class ReferenceEngine(Engine):
    """An engine that answers from the raw rows of a store."""

    def __init__(self, store):
        self.store = store

    def catalog(self):
        return self.store.catalog()

    def snapshot(self):
        return contextlib.nullcontext()

    def ask(self, question, window):
        return answer(self.store, question, window)

    def counters(self, model, window):
        """Sums over the hours of `arrivals` that the window overlaps, and the features of rows whose version was registered without
        them.
        """
        known = self.catalog().model(model)
        start, end = (each.replace(tzinfo=None) for each in (window.start, min(window.end, window.as_of or window.end)))
        hours = [
            each
            for each in rows_in(self.store, "SELECT * FROM arrivals")
            if each["sent"] and each["model"] == model and each["kind"] == "prediction" and start - HOUR < each["hour"] < end
        ]
        segments = {each["segment"] for each in rows_in(self.store, "SELECT * FROM manifest")}
        broken = [
            re.split("; |: the ", each["message"])[0]
            for each in rows_in(self.store, "SELECT * FROM rejected")
            if each["segment"] in segments
            and each["model"] == model
            and each["kind"] == "prediction"
            and start - HOUR < each["at_loaded"].replace(minute=0, second=0, microsecond=0) < end
        ]
        counts = {name: sum(each[name] for each in hours) for name in ("stored", "duplicates", "rejected")}
        days = replace(window, start=midnight(window.start), end=midnight(window.end + DAY - timedelta(microseconds=1)))
        extra = defaultdict(int)
        for row in rows_of(self.store, days):
            for column in known.features():
                registered = row.version.registered and column.name not in row.version.features
                if registered and column.id not in (row.fields["absent"] or ()) and row.fields[column.column] is not None:
                    extra[column.name] += 1
        kept = rows_in(self.store, f"SELECT version, state FROM enrichment_{known.key} WHERE job = 'explain' AND part = ''")
        failed = {each["version"]: json.loads(each["state"])["failure"] for each in kept}
        return {
            "lines": sum(counts.values()),
            **counts,
            "duplicate_hours": sum(each["duplicates"] > 0 for each in hours),
            "rejected_hours": sum(each["rejected"] > 0 for each in hours),
            "rules": {rule: broken.count(rule) for rule in broken},
            "unknown_columns": dict(extra),
            "not_explained": {name: reason for name, reason in failed.items() if reason},
        }

    def events(self, model, start, end, as_of=None):
        """Every event in [start, end) of the model, or of no model. Each choice of a decision about a version is one, read record by
        record.
        """
        first, last = (each.replace(tzinfo=None) for each in (start, end))
        until = as_of.replace(tzinfo=None) if as_of else None

        def seen(table):
            rows = [each for each in rows_in(self.store, f"SELECT * FROM {table}") if until is None or each["arrived"] <= until]
            return sorted(
                (each for each in rows if each["at"] < last), key=lambda each: (each["at"], each["arrived"], each["content_hash"])
            )

        names = ["at", "model", "version", "what", "text", "prediction", "subject"]
        ids = {each["decision"] for each in rows_in(self.store, "SELECT decision FROM decisions")}
        happened = [
            each
            for each in seen("events")
            if each["what"] != "export" and not (each["what"] == "note" and json.loads(each["extra"] or "{}").get("decision") in ids)
        ]
        decisions: dict[str, list[dict]] = {}
        for each in seen("decisions"):
            decisions.setdefault(each["decision"], []).append({name: value for name, value in each.items() if value is not None})
        for entries in decisions.values():
            known, marks = {}, []
            for each in entries:
                made = known.get("choice"), known.get("version")
                known |= each
                if (now := (known.get("choice"), known.get("version"))) != made and None not in now:
                    text = known.get("statement" if not marks else "") or f"{now[0].capitalize()} version {now[1]}"
                    marks.append({"at": each["at"], "what": "decision", "text": text})
                if None not in now:
                    marks[-1] |= {name: known.get(name) for name in ("model", "version")}
                    marks[-1] |= {"text": each["statement"]} if "statement" in each else {}
            if known.get("state") != "withdrawn":
                happened += [dict.fromkeys(names) | mark for mark in marks]
        found = [
            [each[name] for name in names]
            for each in happened
            if first <= each["at"] < last and (model is None or each["model"] in (None, model))
        ]
        found.sort(key=lambda each: (each[0], *((name is None, name or "") for name in (each[3], each[4], each[1], each[2]))))
        return pd.DataFrame(found, columns=names, dtype=object).astype(dict.fromkeys(names[1:], object) | {"at": "datetime64[us]"})

    def canary_sightings(self, window):
        """Every prediction after an export that contains one of its canaries in its texts, found row by row."""
        start, end = (each.replace(tzinfo=None) for each in (window.start, window.end))
        until = window.as_of.replace(tzinfo=None) if window.as_of else None
        found = []
        for event in rows_in(self.store, "SELECT * FROM events WHERE what = 'export' AND canaries IS NOT NULL"):
            own = not missing(event["extra"]) and json.loads(event["extra"]).get("source") == "dashboard"
            if own or event["at"] >= end or (until and event["arrived"] > until):
                continue
            for canary in json.loads(event["canaries"]):
                for model in self.catalog().models:
                    texts = {each.column for each in model.columns if each.kind == "category"} | {"prediction", "subject"}
                    streams = {
                        each["stream"]: (each["version"], each["environment"])
                        for each in rows_in(self.store, f"SELECT * FROM streams WHERE key = {model.key}")
                        if each["environment"] != "reference" and window.model in ("", model.name)
                    }
                    for row in rows_in(self.store, f"SELECT * FROM {model_table('predictions', model.key)}"):
                        if row["stream"] not in streams or not max(start, event["at"]) <= row["at"] < end or row["at"] == event["at"]:
                            continue
                        extra = {} if missing(row["extra"]) else json.loads(row["extra"])
                        said = [row[name] for name in texts if not missing(row[name])]
                        said += [json.dumps(value, ensure_ascii=False) for name, value in extra.items() if name != "question"]
                        if (
                            len(canary.get("text", "")) >= 8
                            and any(canary["text"] in each for each in said)
                            and not (until and row["arrived"] > until)
                        ):
                            version, environment = streams[row["stream"]]
                            found.append(
                                (
                                    canary["name"],
                                    event["at"],
                                    event["recipient"],
                                    model.name,
                                    version,
                                    environment,
                                    row["id"],
                                    row["at"],
                                    "somewhere",
                                )
                            )
        return pd.DataFrame(found, columns=["canary", "exported", "recipient", "model", "version", "environment", "id", "at", "place"])

    def activity(self, as_of=None, model=None):
        """Counts, first and last time and newest arrival of each stream, from its raw rows."""
        limit = None if as_of is None else as_of.replace(minute=0, second=0, microsecond=0, tzinfo=None)
        lines = []
        for known in self.catalog().models if model is None else (self.catalog().model(model),):
            predictions, revisions, streams = stored(self.store, known)
            for number, (version, environment) in sorted(streams.items()):
                timeless = environment == "reference"
                held = [row for row in predictions if row["stream"] == number and (timeless or limit is None or row["arrived"] <= limit)]
                if not held:
                    continue
                labels = [each["arrived"] for row in held for each in revisions[row["id"]] if limit is None or each["arrived"] <= limit]
                arrived = max([row["arrived"] for row in held] + labels)
                hours = [whole_hour(min(row["at"] for row in held)), whole_hour(max(row["at"] for row in held))]
                hours.append(whole_hour(arrived) + (HOUR if whole_hour(arrived) < arrived else timedelta(0)))
                lines.append([known.name, version, environment, len(held), *([pd.NaT] * 3 if timeless else hours)])
        frame = pd.DataFrame(lines, columns=["model", "version", "environment", "rows", "first", "last", "last_arrived"])
        times = dict.fromkeys(("first", "last", "last_arrived"), "datetime64[us]")
        return frame.astype({"model": object, "version": object, "environment": object, "rows": "int64", **times})

    def newest_record(self, kinds, model, before, as_of=None):
        """The time of the newest record of these kinds."""
        found = []
        for kind in kinds:
            frame = self.ask(Records(kind, ever=True), Window(model, EPOCH, before, as_of=as_of))
            found += [] if frame.empty else [frame["at" if "at" in frame else "from"].max().to_pydatetime()]
        return max(found).replace(tzinfo=UTC) if found else None


def whole_hour(instant):
    return instant.replace(minute=0, second=0, microsecond=0)


def midnight(instant):
    return whole_hour(instant).replace(hour=0)

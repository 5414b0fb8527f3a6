"""Replay the analyzer trust/exports on a recipient's exports in which a fault is planted in their last week. The store is only read.

The recipient gets limits that its clean exports meet: a budget above their spending, a k that is at most their smallest k, the hash that
they attested, and a checklist. The twin without the fault therefore has no finding, whatever limits the owner has set.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.analyzers.trust import exports
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.errors import UsageError
from observability.core.finding import Finding, worst_first
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Window
from observability.metrics.exports import EXPORTS, export_events, privacy_loss
from observability.records.kinds import OWN_SOURCE
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_exports import ExportFault, ExportFaultPlant

if TYPE_CHECKING:
    from pandas import DataFrame

Ask = Callable[[Records, Window], "DataFrame"]
WEEK = timedelta(days=7)
BUDGET = 0.0143
HASH, CANARY, ITEMS = "sha256:expected", "planted mark", ("contract", "region", "encrypted transfer", "encrypted storage", "deletion")


def replay_on_exports(
    ask: Ask, fault: ExportFault, strength: Strength, now: datetime, *, model: str | None = None, seed: int = 0
) -> RecordDetection:
    """Plant the fault in exports to a recipient (only in exports of one model, if a model is given). Raises UsageError if nothing was
    exported.
    """
    return replay_export_fault(ask(EXPORTS, Window(model or "", EPOCH, now)), fault, strength, seed)


def replay_export_fault(rows: "DataFrame", fault: ExportFault, strength: Strength = "middle", seed: int = 0) -> RecordDetection:
    """Plant the fault in the last week of a recipient's exports and evaluate it. Raises UsageError if nothing was exported."""
    outside = [
        row for row in rows.to_dict("records") if not (isinstance(row["extra"], Mapping) and row["extra"].get("source") == OWN_SOURCE)
    ]
    pairs = sorted({(str(row["recipient"]), str(row["dataset"] or "")) for row in outside if row["recipient"]})
    if not pairs:
        raise UsageError(f"no export to plant {fault.name} on", got=f"{len(rows):,} exports", expected="an export with a recipient")
    rng = np.random.default_rng([seed, 41])
    pair = pairs[int(rng.integers(len(pairs)))]
    own = [clean_export(row) for row in outside if (str(row["recipient"]), str(row["dataset"] or "")) == pair]
    end = max(row["at"] for row in own).to_pydatetime() + timedelta(seconds=1)
    start = end - WEEK
    late = [row for row in own if row["at"] >= start]
    level = kept_level(rows, own, pair)
    plant = ExportFaultPlant(late, {**level, "canary": CANARY}, fault.amount(strength), rng)
    planted = fault.plant(plant)
    earlier = [row for row in own if row["at"] < start]
    window = Window("", aware_utc(start), aware_utc(end))
    looks = [_export_findings(rows, [*earlier, *each.rows], level, each.sightings, window) for each in (planted, plant)]
    target = f"canary:{CANARY}" if fault.metric == exports.SIGHTINGS else exports.export_subject(pair)
    if fault.metric == exports.CHECKLIST_OPEN and planted.rows[-1]["run"]:
        target = f"run:{planted.rows[-1]['run']}"
    detail = ", ".join(filter(None, pair))
    look = DetectionLook(1, 0, looks[0], looks[1])
    return RecordDetection(fault, strength, "exports", pair[0], "week", 1, target, detail, 1, (look,), f"Exports to {pair[0]}.")


def clean_export(row: Mapping[Any, Any]) -> dict[str, Any]:
    """An export as it should be: its personal columns have a legal basis, its enclave attests, and one canary is planted."""
    clean = {
        "legal_basis": row["legal_basis"] or "contract",
        "attestation": HASH,
        "canaries": [{"name": CANARY, "text": "zq-planted-mark-41"}],
    }
    return {**row, **clean, "checklist": dict.fromkeys(ITEMS, True), "k": max(float(row["k"] or 0), 5.0) if row["k"] == row["k"] else 10.0}


def kept_level(rows: "DataFrame", own: Sequence[Mapping[str, Any]], pair: tuple[str, str]) -> dict[str, Any]:
    """Limits that the clean exports of a recipient meet with a margin."""
    spent = privacy_loss(export_events(_frame(rows, own)), 1e-5).epsilon
    spent = spent if np.isfinite(spent) else 0.0
    levels = {"epsilon": max(3 * spent, 1.0), "delta": 1e-5, "k": 5.0, "attestation": HASH, "checklist": list(ITEMS)}
    return {"recipient": pair[0], "dataset": pair[1], **levels}


def _frame(rows: "DataFrame", own: Sequence[Mapping[str, Any]]) -> "DataFrame":
    """Exports in the form that the store returns."""
    import pandas as pd

    frame = pd.DataFrame(list(own), columns=list(rows.columns), dtype=object)
    return frame.assign(at=pd.to_datetime(frame["at"]).astype("datetime64[us]"))


def _export_findings(
    rows: "DataFrame", own: Sequence[Mapping[str, Any]], level: Mapping[str, Any], seen: Sequence[Mapping[str, Any]], window: Window
) -> tuple[Finding, ...]:
    """Findings about the exports in a window, if the recipient has the given limits."""
    import pandas as pd

    stated = {"decision": ["level"], "at": [pd.Timestamp(0)], "state": [None], "extra": [dict(level)]}
    frames = {"exports": _frame(rows, own), "decisions": pd.DataFrame(stated)}
    context = Context(EVERY_MODEL, NO_VERSION, window, window.end, BUDGET, {"canary_sightings": list(seen)})
    return tuple(worst_first(exports.analyze(frames, context)))

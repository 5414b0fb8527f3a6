"""Replay the analyzer serving/vendors on the answers of a set of questions with a planted fault.

The fault begins with the last round but one. This round and the last round are each evaluated at their end, with only the answers up to
then. The twin has the same rounds without the fault. The store is only read.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.analyzers.serving import vendors
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.errors import UsageError
from observability.core.finding import Finding, worst_first
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Window
from observability.detection.answer_changes import MIN_ROUNDS
from observability.detection.probe_claims import RUBRIC, SHIFT, SIMILAR
from observability.detection.probe_rounds import ProbeRounds, probe_rounds
from observability.probing.answer_vectors import EMBEDDING
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_vendors import VendorFault, VendorFaultPlant

if TYPE_CHECKING:
    from pandas import DataFrame

Ask = Callable[[Records, Window], "DataFrame"]
WEEK = timedelta(days=7)
BUDGET = 0.0143
ROUNDS = 2
"""Number of rounds with the fault, counted from the last."""
WANTED = {SHIFT: "with numbers as answers ", SIMILAR: "with free texts as answers and no encoder ", RUBRIC: "with scores of a rubric "}
"""What a set of questions must have for a fault in each metric, in words."""


def replay_on_vendor(
    ask: Ask, fault: VendorFault, strength: Strength, now: datetime, *, model: str | None = None, seed: int = 0
) -> RecordDetection:
    """Plant the fault in the last rounds of a set of questions, of `model` or of any model. Raises UsageError if no set has enough
    rounds.
    """
    return replay_vendor_fault(ask(vendors.ANSWERS, Window(model or "", EPOCH, now)), fault, strength, seed)


def replay_vendor_fault(answers: "DataFrame", fault: VendorFault, strength: Strength = "middle", seed: int = 0) -> RecordDetection:
    """Plant the fault in the answers of one set and evaluate it. Raises UsageError if no set has enough rounds.

    If the answers of a set had already changed before the fault, they say nothing about the fault. The rounds from that change on are left
    out.
    """
    sets = [each for each in probe_rounds(answers) if len(each.times) >= MIN_ROUNDS + ROUNDS + 1 and fault.fits(each)]
    if not sets:
        wanted = f"a set of fixed questions {WANTED.get(fault.metric, '')}that was asked {MIN_ROUNDS + ROUNDS + 1} times"
        raise UsageError(f"no vendor to plant {fault.name} on", got=f"{len(answers):,} answers", expected=wanted)
    rounds = sets[int(np.random.default_rng([seed, 29]).integers(len(sets)))]
    clean = _before_any_change(answers, rounds)
    (rounds,) = [each for each in probe_rounds(clean) if (each.model, each.name) == (rounds.model, rounds.name)]
    last = rounds.times[-ROUNDS:]
    planted = _planted(clean, rounds, fault, fault.amount(strength), seed)
    looks = []
    for place, begin in enumerate(last):
        until = last[place + 1] if place + 1 < len(last) else clean["at"].max().to_pydatetime() + timedelta(seconds=1)
        seen = [_findings(frame[frame["at"] < until], begin, until) for frame in (planted, clean)]
        looks.append(DetectionLook(place + 1, place, seen[0], seen[1]))
    about = f"Answers of {rounds.model} to set {rounds.name}."
    return RecordDetection(fault, strength, "set", rounds.name, "round", ROUNDS, f"probes:{rounds.name}", "", 1, tuple(looks), about)


def _before_any_change(answers: "DataFrame", rounds: ProbeRounds) -> "DataFrame":
    """The answers of the set before the first round with a critical finding; all answers if there is no such round. The first rounds are
    not checked, so that enough rounds are left.
    """
    of_set = np.array([_set_of(extra) == rounds.name for extra in answers["extra"]], bool)
    own = answers[(answers["model"] == rounds.model).to_numpy() & of_set]
    for place in range(MIN_ROUNDS + 1, len(rounds.times)):
        begin = rounds.times[place]
        until = rounds.times[place + 1] if place + 1 < len(rounds.times) else begin + timedelta(days=1)
        if place > MIN_ROUNDS + ROUNDS and any(each.severity == "act" for each in _findings(own[own["at"] < until], begin, until)):
            return own[own["at"] < begin].reset_index(drop=True)
    return own.reset_index(drop=True)


def _set_of(extra: object) -> str:
    """The name of the set of questions that an answer belongs to."""
    return str((extra.get("set") if isinstance(extra, dict) else None) or "probes")


def _planted(clean: "DataFrame", rounds: ProbeRounds, fault: VendorFault, amount: float, seed: int) -> "DataFrame":
    """The answers with the fault in the last rounds."""
    rng = np.random.default_rng([seed, 31])
    items = tuple(str(item) for item in rng.permutation(np.array(rounds.items, object)))
    late = clean["at"] >= rounds.times[-ROUNDS]
    before = clean[~late & (clean["at"] >= rounds.times[-ROUNDS - 1])]
    texts = {
        str(extra["item"]): (str(answer), extra.get(EMBEDDING))
        for answer, extra in zip(before["prediction"], before["extra"], strict=True)
        if isinstance(answer, str)
    }
    others = {item: _other_answer(item, texts) for item in rounds.items}
    words = tuple(sorted({word for text, _ in texts.values() for word in text.split()})) or ("other",)
    faulty = fault.plant(VendorFaultPlant(clean[late], others, items, amount, _spreads(rounds), words, rng))
    planted = clean.copy()
    for name in ("prediction", "status", "latency_ms", "extra"):
        planted[name] = planted[name].where(~late, faulty[name].reindex(planted.index))
    return planted


def _spreads(rounds: ProbeRounds) -> dict[str, float]:
    """Standard deviation of the numeric answers to each item before the fault; empty if the answers are not numbers."""
    if rounds.values is None:
        return {}
    return {item: float(np.nanstd(line[:-ROUNDS])) for item, line in zip(rounds.items, rounds.values.T, strict=True)}


def _other_answer(item: str, texts: dict[str, tuple[str, Any]]) -> tuple[str, Any]:
    """An answer that another item got and this item did not, with its vector (None if no encoder made one)."""
    own = texts.get(item, ("", None))[0]
    return next((each for each in sorted(texts.values(), key=lambda each: each[0]) if each[0] != own), ("another answer", None))


def _findings(answers: "DataFrame", begin: datetime, until: datetime) -> tuple[Finding, ...]:
    """Findings at the end of a round."""
    import pandas as pd

    window = Window("", min(aware_utc(begin), aware_utc(until) - WEEK), aware_utc(until))
    events = pd.DataFrame({"at": [], "model": [], "text": [], "extra": []})
    found = vendors.analyze({"answers": answers, "events": events}, Context(EVERY_MODEL, NO_VERSION, window, window.end, BUDGET))
    return tuple(worst_first(found))

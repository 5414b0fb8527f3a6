"""Nights of a simulated vendor: a fixed set of questions, answers with some noise, and a change from a certain night on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from observability.analyzers.serving import vendors
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window
from observability.detection.probe_claims import RUBRIC, SHIFT, SIMILAR
from observability.detection.probe_rounds import ProbeRounds

START = datetime(2026, 1, 5, 2)
BUDGET = 0.1 / 7
CLASSES = ("billing", "delivery", "refund", "account")
WORDS = "the parcel was sent on monday and should arrive within three days please check the tracking page for news".split()
OTHER = "kindly note that our terms exclude liability for such losses so nothing can be offered in this case".split()
MANY_WORDS = (
    *WORDS, *OTHER, *"refund invoice address customs courier depot weight label signature neighbour locker holiday payment card bank receipt".split(),
    *"warranty repair screen battery charger cable manual printer ink paper size colour sleeve shoe coat return exchange voucher".split(),
    *"account password email code login profile newsletter phone app update error server cookie browser garden window kitchen".split(),
)  # fmt: skip
"""Enough words that two texts have few in common."""
COLUMNS = ("id", "at", "model", "version", "status", "prediction", "latency_ms", "cost", "features", "extra")


@dataclass(frozen=True)
class VendorNights:
    """noise: share of answers that differ from the usual one by chance. changed: number of answers that differ from night `from_night` on.
    numbers: prices instead of classes, with this relative noise; from that night on they are `times` as high. right: whether each price is
    given as the right answer. own: extra fields and fields of records from that night on, by name; text: free text instead of classes.
    judged: a judge rates texts with whole numbers from 1 to 5, which vary around 4 with this standard deviation. words: the words of free
    texts.
    """

    nights: int
    items: int = 60
    noise: float = 0.02
    changed: int = 0
    from_night: int = 10**9
    model: str = "acme/chat"
    seed: int = 0
    text: bool = False
    cost: float = 0.001
    numbers: float | None = None
    times: float = 1.0
    tolerance: float | None = None
    right: bool = False
    judged: float | None = None
    words: tuple[str, ...] = tuple(WORDS)
    own: Mapping[str, Any] = field(default_factory=dict)

    def rows(self) -> pd.DataFrame:
        """The answers in the form in which the store returns them."""
        rng = np.random.default_rng(self.seed)
        usual = rng.integers(len(CLASSES), size=self.items)
        texts = [rng.permutation(self.words)[:12].tolist() for _ in range(self.items)]
        others = [rng.permutation(OTHER)[:12].tolist() for _ in range(self.items)]
        lines = []
        prices = np.linspace(5.0, 400.0, self.items)
        for night in range(self.nights):
            at, after = START + timedelta(days=night), night >= self.from_night
            slow = float(np.exp(rng.normal(0, 0.05)))
            for item in range(self.items):
                code = usual[item] if rng.random() >= self.noise else int(rng.integers(len(CLASSES)))
                changed = after and item < self.changed
                answer = CLASSES[(code + changed) % len(CLASSES)]
                if self.text:
                    words = list(others[item] if changed else texts[item])
                    words[int(rng.integers(len(words)))] = "indeed"
                    answer = " ".join(words)
                if self.numbers is not None:
                    high = self.times if after and (changed or not self.changed) else 1.0
                    answer = f"{prices[item] * high * (1 + self.numbers * float(rng.normal())):.6g}"
                extra = {"item": f"q{item:03}", "set": "tickets", "refused": False, "well_formed": True}
                extra |= {"answers": "text"} if self.text else {"answers": "class", "expected": CLASSES[usual[item]]}
                if self.judged is not None:
                    extra |= {"rubric": {"helpful": float(np.clip(np.round(4 + self.judged * rng.normal()), 1, 5))}}
                if self.numbers is not None:
                    extra = {"item": f"q{item:03}", "set": "tickets", "answers": "number", "well_formed": True}
                    extra |= {"tolerance": self.tolerance} if self.tolerance is not None else {}
                    extra |= {"expected": f"{prices[item]:.6g}"} if self.right else {}
                row = {
                    "id": f"{night}-{item}", "at": at + timedelta(seconds=item), "model": self.model, "version": "2026-01", "status": "ok", "prediction": answer,
                    "latency_ms": float(400 * slow * rng.lognormal(0, 0.3)), "cost": self.cost,
                    "features": {"input_tokens": 40, "output_tokens": int(3 + 20 * self.text)}, "extra": extra,
                }  # fmt: skip
                for name, value in self.own.items() if after else ():
                    told = value(item, rng) if callable(value) else value
                    (row if name in row else extra)[name] = told
                lines.append(row)
        frame = pd.DataFrame(lines, columns=COLUMNS)
        return frame.astype({"at": "datetime64[us]", "cost": "float64", "latency_ms": "float64"})


def asked_nights(nights: VendorNights, metric: str) -> VendorNights:
    """Nights with answers into which the fault of a metric can be put: nights of prices, or of free texts that a judge rates from 1
    to 5.
    """
    if metric in (SIMILAR, RUBRIC):
        return replace(nights, items=30, text=True, judged=0.6, words=MANY_WORDS)
    return replace(nights, numbers=0.01) if metric == SHIFT else nights


def first_nights(rounds: ProbeRounds, nights: int) -> ProbeRounds:
    """The first nights of a series for a set of questions."""
    own = {each.name: getattr(rounds, each.name) for each in fields(rounds)}
    return replace(
        rounds,
        **{
            name: value[:nights]
            for name, value in own.items()
            if isinstance(value, np.ndarray) or name in ("times", "versions", "encoders")
        },
    )


def no_events() -> pd.DataFrame:
    """A frame without events."""
    return pd.DataFrame({"at": pd.Series(dtype="datetime64[us]"), "model": [], "text": [], "extra": []})


def morning(night: int, budgets: dict[str, tuple[float, str]] | None = None) -> Context:
    """The context of the check on the morning after a night. Its window is the last seven days."""
    end = (START + timedelta(days=night, hours=6)).replace(tzinfo=UTC)
    return Context(EVERY_MODEL, NO_VERSION, Window("", end - timedelta(days=7), end), end, BUDGET, {"budgets": budgets or {}})


def morning_findings(rows: pd.DataFrame, night: int, events: pd.DataFrame | None = None, **budgets: Any) -> list[Finding]:
    """The findings on a morning, from the answers that had arrived by then."""
    context = morning(night, **budgets)
    seen = rows[rows["at"] < context.window.end.replace(tzinfo=None)]
    return vendors.analyze({"answers": seen, "events": no_events() if events is None else events}, context)

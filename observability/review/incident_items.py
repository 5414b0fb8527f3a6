"""Which incidents of a week are worth talking about, how many answers do they touch, and which are one fault of a feed that models share?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from observability.core.finding import SEVERITIES, needs_action
from observability.core.metric_definitions import METRICS
from observability.incidents.grouping_rules import NEAR
from observability.review.agenda import WEIGHT_OF_CHANGE, Item, change_of

Body = dict[str, Any]
HIGHER_IS_WORSE = {"low": True, "high": False}
"""By which side of a metric is better."""
RATES = (
    "null_rate", "nan_rate", "absent_rate", "wrong_type_rate", "unseen_rate", "out_of_range_rate", "error_rate", "duplicate_rate", "rejected_rate",
    "default_score_rate",
)  # fmt: skip
"""Metrics that are a share of the rows themselves: what they rose by is the part of the rows that changed."""
QUIET = frozenset(("input", "explanation"))
"""Stages at which nobody is hurt yet."""
BESIDE, AHEAD = 0.15, 0.6
"""Weights of an incident that stays in them: where the answers were measured and no fall of them goes with it; where nobody can measure them yet."""


def of_incidents(part: Body, share: float, last: Body | None) -> Iterable[Item]:
    """Incidents of a model that need a person, with why. share: the model's of the fleet's predictions; last: the frozen week before, None without."""
    before = incidents_of(last, part["model"])
    findings = {each["id"]: each for each in part["findings"]}
    for each in part["incidents"]:
        if not needs_action(each["severity"]):
            continue
        worse = HIGHER_IS_WORSE.get(METRICS[each["metric"]].better or "")
        change = change_of(each["severity"], each["value"], before.get(claim(each)), worse)
        rows, weight = touched(each, findings), weight_of(each, part)
        yield Item(
            f"incident:{part['model']}:{claim(each)}",
            "incident",
            each["sentence"],
            each["severity"],
            change,
            round(share * rows, 6),
            part["model"],
            reasons(change, last is not None, part, share, len(each["findings"]) - 1, rows, weight),
            about={"incident": each["incident"], "finding": each["lead"], "analyzer": each["analyzer"], "metric": each["metric"],
                   "subject": each["subject"], "source": each["source"] or "", **({"slice": each["slice"]} if each["slice"] else {}),
                   **({"onset": each["onset"]} if each["onset"] else {})},
            weight=weight,
            rank=each["rank"],
        )  # fmt: skip


def reasons(change: str, has_last: bool, part: Body, share: float, collateral: int, rows: float, weight: float) -> tuple[str, ...]:
    """Why an incident stands on the agenda where it does, for people."""
    first = {
        "new": "New this week." if has_last else "No earlier week is frozen.",
        "worse": "Worse than last week.",
        "better": "Better than last week.",
    }
    others = f"{collateral:,} other finding{'s' if collateral != 1 else ''} with it." if collateral else ""
    served = f"{part['model']} served {part['served']:,} predictions, {100 * share:.0f} % of the fleet's" + (
        f"; it touches {100 * rows:.0f} % of them." if rows < 1 else "."
    )
    quiet = {BESIDE: "No measured error goes with it, so it weighs less.", AHEAD: "Whether answers suffer cannot be measured yet."}
    return tuple(filter(None, (first.get(change, "As last week."), served, quiet.get(weight, ""), others)))


def touched(incident: Body, findings: Mapping[str, Body]) -> float:
    """Share of the model's rows that an incident touches: all, unless it is a rate of rows, or sits in a slice and covers a part of the whole change."""
    lead = findings.get(incident["lead"], {})
    coverage = lead.get("evidence", {}).get("coverage")
    if isinstance(coverage, int | float):
        return float(coverage)
    others = (findings[each] for each in incident["findings"] if each in findings)
    return max([rose(lead), *(rose(each) for each in others if each["subject"] != incident["subject"])])


def rose(finding: Body) -> float:
    """By how much a share of the rows is larger than before; 1 of what is no share of the rows."""
    if finding.get("metric") not in RATES or finding.get("value") is None:
        return 1.0
    return min(max(float(finding["value"]) - float(finding["evidence"].get("baseline") or 0.0), 0.0), 1.0)


def weight_of(incident: Body, part: Body) -> float:
    """1 where an answer is hurt; less for inputs (and explanations) that moved by themselves."""
    if not QUIET.issuperset(incident["stages"]):
        return 1.0
    return AHEAD if part["strip"]["performance"]["value"] is None else BESIDE


def incidents_of(body: Body | None, model: str) -> Mapping[str, Body]:
    """The incidents of a model in a frozen week, by what they are about."""
    part = next((each for each in (body or {}).get("models", ()) if each["model"] == model), None)
    return {claim(each): each for each in part["incidents"]} if part else {}


def claim(incident: Body) -> str:
    """What an incident is about, whatever the week: a fault that lasts may be dated otherwise in each week's window."""
    return "/".join([incident["analyzer"], incident["subject"], incident["metric"], incident["slice"] or ""])


def shared(items: Sequence[Item]) -> list[Item]:
    """Incidents with those of several models as one item where they say the same of one input that began on the same day: one feed, one fault.

    It goes by the name of the first of the models, concerns the predictions of all, is as bad as the worst of them, and is an item of each of them.
    """
    groups: list[list[Item]] = []
    for each in sorted(items, key=lambda one: (one.model or "", one.item)):
        home = next((group for group in groups if one_feed(group[0], each) and each.model not in {one.model for one in group}), None)
        if home is None:
            groups.append([each])
        else:
            home.append(each)
    return [together(group) if len(group) > 1 else group[0] for group in groups]


def one_feed(a: Item, b: Item) -> bool:
    """Whether two incidents are of one input, as far as what they say and when they began tells."""
    same = all(a.about.get(name) == b.about.get(name) for name in ("source", "analyzer", "subject", "metric", "slice"))
    if not same or a.about["source"] != "input" or a.about["subject"] == "model":
        return False
    began = [each.about.get("onset") for each in (a, b)]
    if began[0] is None or began[1] is None:
        return began[0] == began[1]
    return abs(datetime.fromisoformat(began[0]) - datetime.fromisoformat(began[1])) <= NEAR


def together(group: Sequence[Item]) -> Item:
    """One item of the incidents of a feed that models share."""
    worst: list[str] = [*SEVERITIES]
    first, names = group[0], [str(each.model) for each in group[1:]]
    return replace(
        first,
        title=f"{first.title.rstrip('.')}; also in {' and '.join(f'`{name}`' for name in names)}.",
        severity=min((each.severity for each in group), key=worst.index),
        change=max((each.change for each in group), key=lambda name: WEIGHT_OF_CHANGE[name]),
        exposure=round(min(sum(each.exposure for each in group), 1.0), 6),
        weight=max(each.weight for each in group),
        reasons=(*first.reasons, f"The same input of {' and '.join(names)} shows it since the same day."),
        also=tuple(
            {"model": str(each.model), "item": each.item, "incident": each.about["incident"], "finding": each.about["finding"]}
            for each in group[1:]
        ),
    )

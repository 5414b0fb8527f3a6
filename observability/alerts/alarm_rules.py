"""Which rules raise alarms about a model, what is each one's limit, and what would a change of the settings have said over the last weeks?

A rule is an analyzer's metric with a limit (`analyzer.limits`): found, not listed. The preview judges each past week as of its end, once with the
settings as they are and once as they would be. What is kept stands in the ledger, with who and why (`change`); so does a slice that
somebody watches or watches no longer.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING

from observability.alerts.alert_state import Alert, Precision, precision
from observability.analyzers import discover
from observability.core.catalog import Model
from observability.core.finding import Finding, needs_action
from observability.core.metric_definitions import METRICS
from observability.core.settings import ModelSettings
from observability.core.time import aware_utc
from observability.core.weeks import Week
from observability.core.window import Slice, Window
from observability.monitoring import check
from observability.store.ingest import record_writer
from observability.store.query import listing
from observability.store.registry import register

if TYPE_CHECKING:
    from observability.store.db.database import Store

WEEKS = 8
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Rule:
    """One rule. usual: the limit that the analyzer comes with (None: it judges only where an owner states one); stated: the owner's, None without."""

    analyzer: str
    metric: str
    usual: float | None
    stated: float | None = None

    @property
    def name(self) -> str:
        """As the settings name it: serving/drift/psi."""
        return f"{self.analyzer}/{self.metric}"

    @property
    def limit(self) -> float | None:
        """The limit in force."""
        return self.usual if self.stated is None else self.stated

    @property
    def title(self) -> str:
        """In words."""
        return METRICS[self.metric].title


def rules(settings: ModelSettings) -> list[Rule]:
    """Every rule with the limit in force, by analyzer."""
    return [
        Rule(each.name, metric, usual, settings.limits.get(f"{each.name}/{metric}"))
        for each in discover()
        for metric, usual in each.limits.items()
    ]


@dataclass(frozen=True)
class Said:
    """What one week would have said: findings that need a person by what they are about. began, ended: claims that only the new, or only the old settings
    make; harder, softer: claims whose severity rises or falls.
    """

    week: Week
    before: dict[str, int]
    after: dict[str, int]
    began: tuple[Finding, ...]
    ended: tuple[Finding, ...]
    changed: tuple[tuple[Finding, Finding], ...]


def preview(
    store: "Store", name: str, settings: ModelSettings, *, now: datetime, weeks: int = WEEKS, progress: Progress | None = None
) -> list[Said]:  # fmt: skip
    """What other settings of a model would have said in each of the last weeks, the newest last; each week knows only what had arrived by its end.

    Only the analyzers that the change of a limit concerns are asked; where another setting changed, all that are answered from counts (`partial`). Weeks without predictions are left out. Raises NotFoundError for an unknown model.
    """
    model = store.catalog().model(name)
    only = concerned(model.settings, settings)
    span = served(store, model)
    if span is None:
        return []
    last = min(Week.before_now(now), Week.of(span[1]))
    found = []
    for place in reversed(range(weeks)):
        week = last.back(place)
        if week.end <= span[0]:
            continue
        if progress:
            progress(1 - (place + 1) / weeks, f"looking at week {week}")
        before, after = (judged(store, replace(model, settings=each), week, only) for each in (model.settings, settings))
        found.append(difference(week, before, after))
    return found


def concerned(old: ModelSettings, new: ModelSettings) -> tuple[str, ...]:
    """Names of the analyzers that a change concerns; empty for all: where something else than a limit changed, any may be."""
    other = [each.name for each in fields(ModelSettings) if each.name != "limits" and getattr(old, each.name) != getattr(new, each.name)]
    if other:
        return ()
    names = {key for key in {*old.limits, *new.limits} if old.limits.get(key) != new.limits.get(key)}
    return tuple(sorted({name.rpartition("/")[0] for name in names}))


def served(store: "Store", model: Model) -> tuple[datetime, datetime] | None:
    """Event times of a model's first and newest production prediction; None where there is none."""
    activity = listing.activity(store)
    rows = activity[(activity["model"] == model.name) & (activity["environment"] == "production")]
    if rows.empty:
        return None
    first, last = (aware_utc(each.to_pydatetime()) for each in (rows["first"].min(), rows["last"].max()))
    return first, last


def partial(old: ModelSettings, new: ModelSettings) -> bool:
    """Whether the preview of a change leaves out what reads single rows: asked of every analyzer and week, that would take minutes."""
    return not concerned(old, new)


def unheard(old: ModelSettings, new: ModelSettings) -> bool:
    """Whether no analyzer hears of what changed, so that it changes nothing that is said: who owns a model, and what it is for."""
    return replace(old, owner=new.owner, description=new.description) == new


def judged(store: "Store", model: Model, week: Week, only: tuple[str, ...]) -> list[Finding]:
    """What a model's week says under some settings; of few analyzers all that they read, of all of them what counts tell."""
    window = Window(model.name, week.start, week.end, as_of=week.end)
    return check.unique(check.model_findings(store, model, window, week.end, only, "all" if only else "counts"))


def difference(week: Week, before: list[Finding], after: list[Finding]) -> Said:
    """Two judgements of one week side by side."""
    old, new = ({each.id: each for each in findings} for findings in (before, after))
    bad = [{name: each for name, each in side.items() if needs_action(each.severity)} for side in (old, new)]
    return Said(
        week, counted(before), counted(after),
        tuple(each for name, each in bad[1].items() if name not in bad[0]),
        tuple(each for name, each in bad[0].items() if name not in bad[1]),
        tuple((each, bad[1][name]) for name, each in bad[0].items() if name in bad[1] and bad[1][name].severity != each.severity),
    )  # fmt: skip


def counted(findings: Iterable[Finding]) -> dict[str, int]:
    """How many need somebody, by severity."""
    kept = list(findings)
    return {name: sum(each.severity == name for each in kept) for name in ("act", "watch")}


def usefulness(alerts: Iterable[Alert], rule: Rule) -> Precision:
    """How often the alerts that a rule led were judged useful."""
    return precision(each for each in alerts if each.rule == rule.name)


def change(
    store: "Store", name: str, settings: ModelSettings, *, author: str, said: Iterable[str], why: str = "", what: str = "threshold"
) -> list[str]:
    """Keep other settings of a model, and say so in the ledger of changes: an event with who, what (a sentence each) and why.

    Gives a sentence for what follows from it. Raises NotFoundError for an unknown model, UsageError or StoreBrokenError where it cannot be written.
    """
    text = f"{author}: {'; '.join(said)}.{f' {why.strip()}' if why.strip() else ''}"
    notes = register.update_settings(store, name, settings)
    record_writer.write(store, [{"kind": "event", "what": what, "model": name, "text": text}])
    return notes


LIMITING = ("threshold", "limits", "fairness_criterion", "service_level_availability", "service_level_latency_ms")
"""Settings that decide what counts as bad: changes of them may explain a finding."""
UNSAID = ("owner", "description")
"""Settings that judge nothing, so that no change of them is an event."""


def keep(store: "Store", name: str, settings: ModelSettings, *, author: str) -> list[str]:
    """Keep other settings of a model, with the ledger saying what changed (nothing where nothing did). Errors and what comes back: see `change`."""
    before, after = asdict(store.catalog().model(name).settings), asdict(settings)
    said = {each: changed(each, before[each], value) for each, value in after.items() if each not in UNSAID and before[each] != value}
    if not said:
        return register.update_settings(store, name, settings)
    return change(store, name, settings, author=author, said=said.values(), what="threshold" if set(said) & {*LIMITING} else "note")


def changed(name: str, before: object, after: object) -> str:
    """`threshold: 0.6, it was 0.5`; of a table only what is other."""
    words = name.replace("_", " ")
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
        return f"{words}: " + ", ".join(f"{key} {shown(after.get(key))} (it was {shown(before.get(key))})" for key in keys)
    return f"{words}: {shown(after)}, it was {shown(before)}"


def shown(value: object) -> str:
    """A setting in words."""
    if value in (None, (), {}):
        return "not decided"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else f"{value:g}" if isinstance(value, float) else str(value)


def watch(store: "Store", name: str, part: Slice, *, author: str, why: str = "", on: bool = True) -> bool:
    """Add a slice to those that a model's owner watches, or with `on` False take it away again; whether that changed anything.

    `serving/slices` and the comparison report a watched slice whatever it says. Raises NotFoundError where the model has no such column.
    """
    model = store.catalog().model(name)
    for column, _ in part.conditions:
        if on:
            model.resolve(column)
    held, text = model.settings.slices, str(part)
    if (text in held) == on:
        return False
    slices = (*held, text) if on else tuple(each for each in held if each != text)
    said = f"the slice {text} is watched from now on" if on else f"the slice {text} is watched no longer"
    change(store, name, replace(model.settings, slices=slices), author=author, said=[said], why=why)
    return True

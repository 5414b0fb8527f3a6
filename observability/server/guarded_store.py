"""A store that checks every call for one person, leaves out hidden data, and logs changes."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from observability.core.errors import ForbiddenError, NotFoundError
from observability.core.questions import Records, record_kind
from observability.core.small_groups import finding_without_few
from observability.core.window import Window
from observability.records.kinds import KINDS
from observability.server import audit_log
from observability.server.access import WRITING, Action, Person, may_do, may_do_everywhere, require_action
from observability.server.dashboard_access import PERSONAL, SCHEDULE, may_send_to, visible_dashboards
from observability.server.store_methods import CHANGES, METHODS, QUERIES, StoreMethod
from observability.server.suppression import require_shown_slice, suppressed_answer

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.core.finding import Finding
    from observability.core.questions import Question
    from observability.core.settings import ModelSettings
    from observability.store.engine import Store
    from observability.store.types.decision_items import DecisionItem

RULE_SETTINGS = frozenset(
    {
        "threshold",
        "limits",
        "slices",
        "fairness_criterion",
        "primary_metric",
        "service_level_availability",
        "service_level_latency_ms",
    }
)
"""Settings of a model that an analyst may change."""
ANSWERS = ("annotation", "skip")
"""Records of a person's own labelling: the signed-in person becomes their annotator."""
AMENDED = {"action": "actions", "decision": "decisions", "verdict": "verdicts", "saved_case": "saved_cases"}
"""Kinds whose records change an earlier record by its id and need not name its model again, with the method that reads the earlier
records."""
AUTOMATIC_AUTHOR = "the dashboard"
"""The author of records that follow automatically from other records. Records that a person writes get the signed-in person as author."""


def action_of_settings(names: AbstractSet[str]) -> Action:
    """The action that a person needs to change these settings of a model."""
    return "rules" if names <= RULE_SETTINGS else "settings"


def guarded_store(store: "Store", person: Person) -> "Store":
    """The store with the rights of one person: every call is checked, and hidden data are left out. Without sign-in, it is the store
    itself, unless the results go to a file.
    """
    return store if person.source == "here" and not person.for_a_file else cast("Store", GuardedStore(store, person))


class GuardedStore:
    """A store that checks each call for one person. Guards of the same store with the same person are equal, so they count as one key of a
    cache.
    """

    guarded = True

    def __init__(self, store: "Store", person: Person, *, whole: bool = False) -> None:
        self._store, self._person, self._whole = store, person, whole

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GuardedStore) and self._key() == other._key()

    def _key(self) -> tuple[object, ...]:
        return self._store, self._person, self._whole

    def __hash__(self) -> int:
        return hash((id(self._store), self._person, self._whole))

    def whole_groups(self) -> "GuardedStore":
        """The same store, but with small groups shown, for analyzers and for results that are kept for all people. Findings pass through
        `shown_findings` before the person sees them.
        """
        return GuardedStore(self._store, self._person, whole=True)

    def shown_findings(self, findings: "Iterable[Finding]") -> "list[Finding]":
        """The findings, without figures of groups with few rows if the person may not see masked values."""
        held = list(findings)
        hides = {model: self._hides_few(model) for model in {each.model for each in held}}
        return [finding_without_few(each) if hides[each.model] else each for each in held]

    def require_shown_slice(self, window: Window) -> None:
        """Raise ForbiddenError if the window's slice has few rows and the person may not see masked values."""
        if window.slice is not None and self._hides_few(window.model):
            require_shown_slice(self._store, window)

    def _hides_few(self, model: str | None) -> bool:
        """Whether figures based on few rows are hidden from the person. model: the model that they are about, if any."""
        return not (may_do(self._person, "reveal", model) if model else may_do_everywhere(self._person, "reveal"))

    def __getattr__(self, name: str) -> Any:
        method = METHODS.get(name)
        if method is None:
            raise ForbiddenError(
                f"the method {name} of the store is not offered to people", attempt="Name it in observability/server/store_methods.py"
            )
        found = getattr(self._store, name)
        if not callable(found):
            self._require(method.action, None, name)
            return found

        def checked(*args: Any, **kwargs: Any) -> Any:
            return self._call(name, method, found, args, kwargs)

        return checked

    def _call(self, name: str, method: StoreMethod, found: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if name == "ask_many":
            args = (list(args[0]),)
        given = _signature(type(self._store), name).bind(self._store, *args, **kwargs)
        given.apply_defaults()
        about: Any = given.arguments.get(method.model) if method.model else None
        names = list(_models_of(about))
        if name == "write_records":
            also = (*self._models_of_projects(about), *self._models_of_amended(about))
            names += [model for model in dict.fromkeys(also) if model not in names]
        concerned: list[str | None] = [*names] or [self._any_written_model() if name == "write_records" and _is_personal(about) else None]
        for model in concerned:
            self._require(self._action(name, method, model, given.arguments), model, name)
        if method.answers == "whole" and not self._person.sees_all:
            require_action(self._person, "query")
        if name == "write_records":
            self._require_whole_view_for_reviews(about)
            self._require_visible_dashboards(about)
            return self._recorded(name, names, about, lambda: self._store.write_records([self._signed(each) for each in about]))
        if name in QUERIES:
            audit_log.note_access(self._store.home, self._person.name, "queried", what="SQL")
            return found(*args, **{**kwargs, "masked": not may_do_everywhere(self._person, "reveal")})
        if name == "ask" and isinstance(asked := given.arguments["question"], Records) and asked.kind in PERSONAL:
            raise ForbiddenError("dashboards are read through their own method", attempt="Open the page Dashboards")
        if method.answers == "dashboards":
            return visible_dashboards(self._person, found(*args, **kwargs))
        if name == "ask" and not self._person.sees_all and isinstance(given.arguments["question"], Records):
            return self._suppressed(given.arguments, self._visible_records(*given.args[1:]))
        if name in CHANGES:
            return self._recorded(name, names, about, lambda: found(*args, **kwargs))
        answer = found(*args, **kwargs)
        if name in ("ask", "ask_many") and not self._whole:
            answer = self._suppressed(given.arguments, answer)
        return answer if names or self._person.sees_all else self._reduced(method, answer)

    def _suppressed(self, given: Mapping[str, Any], answer: Any) -> Any:
        """One query result, or several by query and window, without figures of groups with few rows."""
        if "questions" in given:
            return {(question, window): self._suppressed_answer(question, window, each) for (question, window), each in answer.items()}
        return self._suppressed_answer(given["question"], given["window"], answer)

    def _suppressed_answer(self, question: "Question", window: Window, answer: "DataFrame") -> "DataFrame":
        return suppressed_answer(self._store, question, window, answer) if self._hides_few(window.model) else answer

    def _require(self, action: Action, model: str | None, name: str) -> None:
        """Check one action. If it is refused and would have been a change, log the refusal."""
        try:
            require_action(self._person, action, model)
        except ForbiddenError:
            if action != "read":
                audit_log.note_access(self._store.home, self._person.name, "refused", what=name.replace("_", " "), model=model)
            raise

    def _action(self, name: str, method: StoreMethod, model: str | None, given: Mapping[str, Any]) -> Action:
        """The action for which a call needs rights. For `update_settings`, it depends on which settings change."""
        if name != "update_settings" or model is None:
            return method.action
        return action_of_settings(changed_settings(self._store.catalog().model(model).settings, given["settings"]))

    def _require_whole_view_for_reviews(self, records: Iterable[Mapping[str, object]]) -> None:
        """Raise ForbiddenError if a person who does not see all models writes a frozen week, because a frozen week is said to cover every
        model.
        """
        if not self._person.sees_all and any(record.get("kind") == "review" for record in records):
            raise ForbiddenError("a week is frozen by people who see every model", attempt="Ask an administrator")

    def _any_written_model(self) -> str | None:
        """Any model that the person may write about; None if there is none. It is used for a dashboard, which need not name a model."""
        if may_do(self._person, "write"):
            return None
        return next((model for model, _ in self._person.models if may_do(self._person, "write", model)), None)

    def _require_visible_dashboards(self, records: Iterable[Mapping[str, object]]) -> None:
        """Raise NotFoundError if a person changes a dashboard that they cannot see. Only its author can see a private dashboard."""
        changed = [record for record in records if record.get("kind") in PERSONAL]
        if not changed:
            return
        stored, pins = self._store.dashboards(), {record.get("pin") for record in changed}
        boards = {item.id: item for item in stored if item.kind == "dashboard"}
        named = {str(record.get("dashboard")) for record in changed}
        named |= {str(item.fields["dashboard"]) for item in stored if item.kind == "pin" and item.id in pins}
        hidden = named & boards.keys() - {item.id for item in visible_dashboards(self._person, stored)}
        if hidden:
            raise NotFoundError("the dashboard is not there, or not shared with you", attempt="Ask its author to share it")
        self._require_channels(changed, boards)

    def _require_channels(self, records: Iterable[Mapping[str, object]], boards: "Mapping[str, DecisionItem]") -> None:
        """Raise ForbiddenError if a summary is scheduled for a channel to which the person may not send."""
        for record in records:
            if record.get("kind") != "dashboard" or not any(name in record for name in SCHEDULE):
                continue
            board = boards.get(str(record.get("dashboard")))
            after = {**(board.fields if board else {}), **record}
            channel = after.get("channel")
            if (after.get("send") or "never") != "never" and channel and not may_send_to(self._person, str(channel), self._store.home):
                raise ForbiddenError(
                    f"the channel {channel!r} is not open to analysts",
                    attempt="Ask an administrator to send it, or to open the channel under [dashboards] of alerts.toml",
                )

    def _signed(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record with the signed-in person as its author."""
        if record.get("kind") in ANSWERS:
            return {**record, "annotator": self._person.name}
        named = "author" in KINDS[str(record["kind"])].fields if record.get("kind") in KINDS else False
        automatic = record.get("author") == AUTOMATIC_AUTHOR
        return {**record, "author": self._person.name} if named and not automatic else dict(record)

    def _models_of_projects(self, records: Iterable[Mapping[str, object]]) -> list[str]:
        """The models that belong to the labelling projects which some records name."""
        projects = {record.get("project") for record in records} - {None}
        if not projects:
            return []
        return [model.name for model in self._store.catalog().models if projects & {*(model.settings.projects or (model.name,))}]

    def _models_of_amended(self, records: Iterable[Mapping[str, object]]) -> list[str]:
        """The models of those earlier records that some records change. They are looked up only for people whose role differs between
        models.
        """
        found: list[str] = []
        for kind, read in AMENDED.items() if self._person.models else ():
            ids = {record.get(kind) for record in records if record.get("kind") == kind}
            items: Sequence[DecisionItem] = getattr(self._store, read)() if ids else ()
            found += [str(item.fields["model"]) for item in items if item.id in ids and item.fields.get("model")]
        return found

    def _recorded(self, name: str, models: Sequence[str], about: Any, work: Callable[[], Any]) -> Any:
        """Make a change and log it. A change that fails is not logged."""
        token = WRITING.set(self._person)
        try:
            done = work()
        finally:
            WRITING.reset(token)
        if getattr(self._store, "read_only", False):
            return done  # the owner did the change and has logged it
        kinds = [str(record.get("kind")) for record in about] if name == "write_records" else []
        what = ", ".join(sorted(set(kinds))) or name.replace("_", " ")
        prediction = next((str(record["prediction"]) for record in about if record.get("prediction")), None) if kinds else None
        model = models[0] if models else None
        audit_log.note_access(self._store.home, self._person.name, CHANGES[name], what=what, model=model, prediction=prediction)
        return done

    def _visible_records(self, question: Records, window: "Window") -> "DataFrame":
        """Records, without those of hidden models. For kinds that name a model or a run, only records of visible models remain. Records of
        a labelling project remain unless the project belongs to a hidden model.
        """
        import pandas as pd

        fields, models = KINDS[record_kind(question.kind)].fields, self._store.catalog().models
        shown = {model.name for model in models if may_do(self._person, "read", model.name)}
        if not window.model and ("model" in fields or "run" in fields):
            frames = [self._store.ask(question, replace(window, model=name)) for name in sorted(shown)]
            found = pd.concat([self._store.ask(replace(question, rows=1), window).iloc[:0], *frames], ignore_index=True) if frames else None
            if found is None:
                return self._store.ask(replace(question, rows=1), window).iloc[:0]
            return found[~found.astype(str).duplicated()].reset_index(drop=True)
        if "project" not in fields:
            return self._store.ask(question, window)
        wanted = question.columns
        full = question if wanted is None or "project" in wanted else replace(question, columns=(*wanted, "project"))
        found = self._store.ask(full, window)
        hidden = {name for model in models if model.name not in shown for name in (model.name, *model.settings.projects)}
        kept = found[~found["project"].isin(hidden)].reset_index(drop=True)
        return kept if full is question else kept.drop(columns="project")

    def _reduced(self, method: StoreMethod, answer: Any) -> Any:
        """Of a result about all models, the part that is about visible models."""

        def visible(name: Any) -> bool:
            return isinstance(name, str) and may_do(self._person, "read", name)

        if method.answers == "catalog":
            return replace(answer, models=tuple(model for model in answer.models if visible(model.name)))
        if method.answers == "column":
            return answer[[visible(name) for name in answer["model"]]].reset_index(drop=True)
        if method.answers == "items":
            return tuple(item for item in answer if visible(item.fields.get("model")))
        if method.answers == "settings":
            return {name: settings for name, settings in answer.items() if visible(name)}
        if method.answers == "status":
            shown = {
                name: [each for each in answer[name] if visible(each["model"] or None)] for name in ("models", "controllers", "sources")
            }
            return {**answer, **shown, "keeping": _keeping_of(answer["keeping"], visible)}
        return answer


def _keeping_of(keeping: Mapping[str, Any], visible: Callable[[Any], bool]) -> dict[str, Any]:
    """The last maintenance of the store. What retention removed from hidden models is left out."""

    def reduced(done: Mapping[str, Any] | None) -> dict[str, Any] | None:
        return None if done is None else {**done, "removed": [each for each in done["removed"] if visible(each["model"])]}

    night = keeping["night"]
    of_night = None if night is None else {**night, "retention": reduced(night.get("retention"))}
    return {**keeping, "retention": reduced(keeping["retention"]), "night": of_night}


def _is_personal(records: Iterable[Mapping[str, object]]) -> bool:
    """Whether all records are about dashboards."""
    return all(record.get("kind") in PERSONAL for record in records)


@lru_cache(maxsize=256)
def _signature(kind: type, name: str) -> inspect.Signature:
    """The signature of a method."""
    return inspect.signature(getattr(kind, name))


def _models_of(about: Any) -> Iterable[str]:
    """The names of the models that an argument is about. The argument is a name, something with `model` or `name`, or a sequence of such
    things.
    """
    if about is None or about == "":
        return
    if isinstance(about, str):
        yield about
    elif isinstance(about, Mapping):
        if about.get("model"):
            yield str(about["model"])
    elif isinstance(about, tuple) and len(about) == 2 and hasattr(about[1], "model"):
        yield from _models_of(about[1].model)
    elif isinstance(about, list | tuple):
        for each in about:
            yield from _models_of(each)
    elif hasattr(about, "model"):
        yield from _models_of(about.model)
    elif hasattr(about, "name"):
        yield str(about.name)


def changed_settings(before: "ModelSettings", after: "ModelSettings") -> frozenset[str]:
    """Names of the settings that differ."""
    old, new = asdict(before), asdict(after)
    return frozenset(name for name in new if old[name] != new[name])

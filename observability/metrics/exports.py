"""Exports of data: export events, what their recipients may get, the privacy loss of releases with noise, and checklists for training on
other parties' machines.

An export is an event whose field `what` is `export`. A privacy budget belongs to a pair of recipient and dataset, because losses add up if
the same reader gets several releases of the same records.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Model
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.metrics.attestations import SignatureState, signature_state
from observability.records.kinds import OWN_SOURCE
from observability.stats.arrays import Floats
from observability.stats.privacy_loss import added_losses, gaussian_rdp, laplace_rdp, rdp_epsilon

if TYPE_CHECKING:
    from pandas import DataFrame

NOT_NAMED = "not named"
"""Stands for the recipient if an export names none."""
EXPORT_COLUMNS = (
    "at", "text", "model", "version", "run", "recipient", "dataset", "columns", "rows", "transform", "legal_basis", "k", "epsilon", "delta",
    "mechanism", "attestation", "canaries", "checklist", "extra",
)  # fmt: skip
EXPORTS = Records("event", EXPORT_COLUMNS, ever=True, only=(("what", "export"),))
LEVELS = Records("decision", ("decision", "at", "state", "extra"), ever=True)
DELTA = 1e-5
"""The δ of a budget that does not state one."""
CHECKLIST = {
    "contract": "a contract on processing is signed",
    "region": "the machines stand in an agreed region",
    "encrypted transfer": "data travel encrypted",
    "encrypted storage": "data rest encrypted",
    "attestation": "the enclave attested the expected hash",
    "personal columns": "personal columns are left out or transformed",
    "canaries": "canaries are planted",
    "budget": "the privacy budget covers it",
    "deletion": "the copy is deleted at the end",
}
"""The requirements for training on a third party's machines, in words. If the export does not state them, four of them are derived from the
export itself.
"""
UNTRANSFORMED = ("", "none", "null")


@dataclass(frozen=True)
class ExportEvent:
    """A logged export. place: its number in the frame, in the order of time; at: aware UTC. None and empty: not logged.

    tags: the tag of each column. treated: columns with a transform of their own. own: whether this product wrote the file itself.
    """

    place: int
    at: datetime
    text: str
    recipient: str
    dataset: str
    model: str | None
    run: str | None
    rows: int | None
    columns: tuple[str, ...]
    tags: Mapping[str, str]
    treated: frozenset[str]
    transform: str | None
    legal_basis: str | None
    k: float | None
    epsilon: float | None
    delta: float | None
    mechanism: Mapping[str, Any]
    attestation: str | None
    attestation_document: str | None
    attestation_signature: str | None
    canaries: tuple[Mapping[str, Any], ...]
    checklist: Mapping[str, bool | None] | None
    own: bool

    @property
    def pair(self) -> tuple[str, str]:
        """The recipient and the dataset, which together have a budget."""
        return self.recipient, self.dataset

    @property
    def transformed(self) -> bool:
        """Whether all exported data were transformed."""
        return (self.transform or "").lower() not in UNTRANSFORMED

    @property
    def personal(self) -> tuple[str, ...]:
        """Columns tagged personal or sensitive."""
        return tuple(name for name in self.columns if self.tags.get(name) in ("personal", "sensitive"))

    @property
    def bare(self) -> tuple[str, ...]:
        """Personal columns that were exported without a transform."""
        return () if self.transformed else tuple(name for name in self.personal if name not in self.treated)

    @property
    def is_private(self) -> bool:
        """Whether the export states a privacy loss, or the values from which the loss can be computed."""
        return self.epsilon is not None or release_rdp(self) is not None


@dataclass(frozen=True)
class RecipientLevel:
    """What the owner allows a recipient, for one dataset or for all. None: not stated. attestation: the hash that the recipient's enclave
    should attest; attestation_key: the public key of the expected signer, as PEM. checklist: the items that training must satisfy.
    """

    epsilon: float | None = None
    delta: float | None = None
    k: float | None = None
    attestation: str | None = None
    attestation_key: str | None = None
    checklist: tuple[str, ...] | None = None


@dataclass(frozen=True)
class PrivacyLoss:
    """The privacy loss of exports to one recipient. unknown: number of exports without a logged loss; basic: number of exports of which
    only ε is known.
    """

    epsilon: float
    delta: float
    releases: int
    unknown: int
    basic: int


def export_events(frame: "DataFrame", models: Mapping[str, Model] | None = None) -> list[ExportEvent]:
    """Exports from rows of events, oldest first.

    Parameters
    ----------
    frame : DataFrame
        Answer to `EXPORTS`.
    models : mapping of str to Model, optional
        Models by name, whose settings tag columns where the export does not.

    Returns
    -------
    list of ExportEvent
    """
    rows = sorted(frame.to_dict("records"), key=lambda row: (row["at"], str(row["recipient"]), str(row["text"]), repr(row)))
    return [_export_event(place, row, models or {}) for place, row in enumerate(rows)]


def _export_event(place: int, row: Mapping[Any, Any], models: Mapping[str, Model]) -> ExportEvent:
    """One export. A field whose form differs from the documented one counts as not logged."""
    stated = row["columns"] if isinstance(row["columns"], Mapping) else {}
    parts = {str(name): part if isinstance(part, Mapping) else {} for name, part in stated.items()}
    known = models.get(str(row["model"]))
    tags = {
        name: str(part.get("tag") or (known.settings.column_tags.get(name) if known else None) or "none") for name, part in parts.items()
    }
    treated = {name for name, part in parts.items() if str(part.get("transform") or "").lower() not in UNTRANSFORMED}
    checks = row["checklist"] if isinstance(row["checklist"], Mapping) else None
    extra = row["extra"] if isinstance(row["extra"], Mapping) else {}
    return ExportEvent(
        place,
        aware_utc(row["at"]),
        str(row["text"]),
        str(row["recipient"] or NOT_NAMED),
        str(row["dataset"] or ""),
        row["model"] or None,
        row["run"] or None,
        _whole(row["rows"]),
        tuple(parts),
        tags,
        frozenset(treated),
        row["transform"] or None,
        row["legal_basis"] or None,
        _finite(row["k"]),
        _finite(row["epsilon"]),
        _finite(row["delta"]),
        row["mechanism"] if isinstance(row["mechanism"], Mapping) else {},
        row["attestation"] or None,
        _text_of(extra, "attestation_document"),
        _text_of(extra, "attestation_signature"),
        tuple(each for each in row["canaries"] or () if isinstance(each, Mapping)) if isinstance(row["canaries"], list) else (),
        None if checks is None else {str(name): each if isinstance(each, bool) else None for name, each in checks.items()},
        extra.get("source") == OWN_SOURCE,
    )


def _text_of(extra: Mapping[Any, Any], name: str) -> str | None:
    """An additional field, if it is a text; else None."""
    value = extra.get(name)
    return value if isinstance(value, str) and value else None


def _finite(value: Any) -> float | None:
    """The value as a number, if it is a finite number; else None."""
    known = isinstance(value, int | float | np.number) and not isinstance(value, bool) and bool(np.isfinite(value))
    return float(value) if known else None


def _whole(value: Any) -> int | None:
    """The value as a whole number; None if it is not a finite number."""
    number = None if value is None or value != value else _finite(float(value))
    return None if number is None else int(number)


def recipient_levels(decisions: "DataFrame") -> dict[tuple[str, str], RecipientLevel]:
    """The levels that owners allow, by recipient and dataset ("" for all datasets of a recipient), from the newest decisions in force.

    Parameters
    ----------
    decisions : DataFrame
        Answer to `LEVELS`: their further fields recipient, dataset, epsilon, delta, k, attestation, attestation_key and checklist
        state the level.

    Returns
    -------
    dict
        A level for each pair that a decision is about.
    """
    stated: dict[str, dict[str, Any]] = {}
    for row in decisions.sort_values("at", kind="stable").to_dict("records"):
        extra = row["extra"] if isinstance(row["extra"], Mapping) else {}
        own = stated.setdefault(str(row["decision"]), {})
        own.update(extra, at=row["at"])
        own["state"] = row["state"] or own.get("state", "standing")
    found: dict[tuple[str, str], RecipientLevel] = {}
    for body in sorted(stated.values(), key=lambda body: body["at"]):
        if body["state"] != "standing" or not isinstance(body.get("recipient"), str):
            continue
        items = body.get("checklist")
        level = RecipientLevel(
            _finite(body.get("epsilon")),
            _finite(body.get("delta")),
            _finite(body.get("k")),
            str(body["attestation"]) if body.get("attestation") else None,
            _text_of(body, "attestation_key"),
            tuple(map(str, items)) if isinstance(items, list) else None,
        )
        found[body["recipient"], str(body.get("dataset") or "")] = level
    return found


def level_of_pair(
    levels: Mapping[tuple[str, str], RecipientLevel], pair: tuple[str, str], model: Model | None, limit: str
) -> RecipientLevel:
    """What a recipient may get of a dataset: the level for this recipient and dataset, else the level for the recipient, else the model's
    own limit of k.

    Parameters
    ----------
    levels : mapping
        As `recipient_levels` gives them.
    pair : tuple of str
        Recipient and dataset.
    model : Model, optional
        The model whose data these are.
    limit : str
        Name of the limit of k in the settings of a model.

    Returns
    -------
    RecipientLevel
    """
    own, wide = levels.get(pair, RecipientLevel()), levels.get((pair[0], ""), RecipientLevel())
    of_model = model.settings.limits.get(limit) if model is not None else None

    def first(*values: Any) -> Any:
        return next((value for value in values if value is not None), None)

    return RecipientLevel(
        first(own.epsilon, wide.epsilon),
        first(own.delta, wide.delta),
        first(own.k, wide.k, of_model),
        first(own.attestation, wide.attestation),
        first(own.attestation_key, wide.attestation_key),
        first(own.checklist, wide.checklist),
    )


def release_rdp(event: ExportEvent) -> Floats | None:
    """The Rényi privacy losses of an export whose mechanism is logged; None if it is not.

    Parameters
    ----------
    event : ExportEvent
        Its mechanism has `noise_multiplier` (Gaussian), with `sampling_rate` and `steps`, or `laplace_scale` with `steps`.

    Returns
    -------
    Floats or None
        Loss at each of `stats.privacy_loss.ORDERS`.
    """
    numbers = {name: _finite(value) for name, value in event.mechanism.items()}
    steps = numbers.get("steps")
    steps = 1 if steps is None else max(int(steps), 0)
    if (noise := numbers.get("noise_multiplier")) is not None:
        rate = numbers.get("sampling_rate")
        return steps * _step_rdp(noise, 1.0 if rate is None else min(max(rate, 0.0), 1.0))
    if (scale := numbers.get("laplace_scale")) is not None:
        return laplace_rdp(scale, steps)
    return None


@lru_cache(maxsize=256)
def _step_rdp(noise: float, rate: float) -> Floats:
    """The Rényi losses of one step. They are cached, because releases to a recipient often repeat one mechanism."""
    return gaussian_rdp(noise, rate)


def privacy_loss(events: Iterable[ExportEvent], delta: float) -> PrivacyLoss:
    """The ε, at a given δ, of several exports of one dataset to one recipient.

    Exports with a logged mechanism are added as Rényi losses. Exports of which only ε is known are added by basic composition, and their δ
    is subtracted from the total δ. If an export states a larger ε than its mechanism gives, the stated ε counts.

    Parameters
    ----------
    events : iterable of ExportEvent
        Exports of one pair of recipient and dataset.
    delta : float
        δ at which ε is stated.

    Returns
    -------
    PrivacyLoss
    """
    curves, stated, used, unknown = [], [], 0.0, 0
    for event in events:
        curve = release_rdp(event)
        if curve is None and event.epsilon is None:
            unknown += 1
        elif curve is None or (event.epsilon is not None and event.epsilon > rdp_epsilon(curve, event.delta or delta) * 1.01):
            stated.append(float(event.epsilon or 0.0))
            used += event.delta or 0.0
        else:
            curves.append(curve)
    left = delta - used
    of_curves = (rdp_epsilon(added_losses(curves), left) if left > 0 else float("inf")) if curves else 0.0
    return PrivacyLoss(of_curves + sum(stated), delta, len(curves) + len(stated), unknown, len(stated))


def understated_epsilon(event: ExportEvent) -> float | None:
    """The ε that an export's mechanism gives, if the export states a smaller one; else None.

    Parameters
    ----------
    event : ExportEvent
        An export with a mechanism, ε and δ.

    Returns
    -------
    float or None
    """
    curve = release_rdp(event)
    if curve is None or event.epsilon is None or not event.delta:
        return None
    found = rdp_epsilon(curve, event.delta)
    return found if event.epsilon < 0.99 * found else None


def checklist_states(event: ExportEvent, level: RecipientLevel, within_budget: bool | None) -> dict[str, bool | None]:
    """For each item of the checklist, whether training on other parties' machines satisfies it; None if this is not logged.

    Parameters
    ----------
    event : ExportEvent
        The export that the training reads.
    level : RecipientLevel
        The items, and the hash and key that are expected of the enclave.
    within_budget : bool, optional
        Whether the privacy budget covers the export.

    Returns
    -------
    dict
        True, False or None by item, in the order of the checklist.
    """
    stated = event.checklist or {}
    derived: dict[str, bool | None] = {
        "attestation": _attested(event, level),
        "personal columns": not event.bare if event.columns else None,
        "canaries": True if event.canaries else None,
        "budget": within_budget,
    }
    items = level.checklist or tuple(CHECKLIST)
    others = tuple(name for name in stated if name not in items)
    found = {}
    for name in (*items, *others):
        states = [each for each in (stated.get(name), derived.get(name)) if each is not None]
        found[name] = all(states) if states else None
    return found


def export_signature(event: ExportEvent, level: RecipientLevel) -> SignatureState | None:
    """The state of the signature over an export's attestation.

    Parameters
    ----------
    event : ExportEvent
        The export.
    level : RecipientLevel
        The owner's level, with the registered key.

    Returns
    -------
    SignatureState | None
        None for an export without an attestation.
    """
    return signature_state(event.attestation, event.attestation_document, event.attestation_signature, level.attestation_key)


def _attested(event: ExportEvent, level: RecipientLevel) -> bool | None:
    """Whether the enclave attested the expected hash with a verified signature; None if no hash is expected, or if no signature could be
    checked.
    """
    if level.attestation is None:
        return None
    if event.attestation != level.attestation:
        return False
    state = export_signature(event, level)
    return True if state == "verified" else False if state == "does not match" else None


def not_logged(event: ExportEvent) -> list[str]:
    """The facts that an export should state but does not, in words.

    Parameters
    ----------
    event : ExportEvent
        An export.

    Returns
    -------
    list of str
    """
    quasi = any(tag == "quasi" for tag in event.tags.values())
    missing = {
        "recipient": event.recipient == "not named",
        "columns": not event.columns,
        "rows": event.rows is None,
        "legal basis": event.legal_basis is None and (bool(event.personal) or not event.columns),
        "k": event.k is None and quasi and not event.is_private,
        "ε": not event.is_private and (event.transform or "").lower() == "noised",
    }
    return [name for name, lacks in missing.items() if lacks]


@dataclass(frozen=True)
class ExportLedger:
    """All exports up to a point in time, with the levels that owners allow. events: oldest first, without the exports that this product
    made itself.
    """

    events: Sequence[ExportEvent]
    levels: Mapping[tuple[str, str], RecipientLevel]
    models: Mapping[str, Model] = field(default_factory=dict)
    limit: str = ""

    def level(self, event: ExportEvent) -> RecipientLevel:
        """What the recipient of an export may get of its dataset."""
        return level_of_pair(self.levels, event.pair, self.models.get(event.model or ""), self.limit)

    def by_pair(self) -> dict[tuple[str, str], list[ExportEvent]]:
        """Exports by recipient and dataset."""
        found: dict[tuple[str, str], list[ExportEvent]] = {}
        for event in self.events:
            found.setdefault(event.pair, []).append(event)
        return dict(sorted(found.items()))

    def loss(self, pair: tuple[str, str], until: ExportEvent | None = None) -> PrivacyLoss:
        """The privacy loss of a recipient and dataset. until: the last export that counts; None counts all exports."""
        own = [each for each in self.by_pair().get(pair, []) if until is None or each.place <= until.place]
        level = self.level(own[-1]) if own else RecipientLevel()
        stated = max((each.delta or 0.0 for each in own), default=0.0)
        return privacy_loss(own, level.delta or stated or DELTA)

    def within_budget(self, event: ExportEvent) -> bool | None:
        """Whether the budget covers all exports up to this one; None if no budget is stated, or if a loss is not logged."""
        budget = self.level(event).epsilon
        loss = self.loss(event.pair, event)
        if budget is None or (loss.unknown and loss.epsilon <= budget):
            return None
        return loss.epsilon <= budget


def export_ledger(frame: "DataFrame", decisions: "DataFrame", models: Mapping[str, Model], limit: str) -> ExportLedger:
    """The ledger of exports.

    Parameters
    ----------
    frame : DataFrame
        Answer to `EXPORTS`.
    decisions : DataFrame
        Answer to `LEVELS`.
    models : mapping of str to Model
        Models by name.
    limit : str
        Name of the limit of k in the settings of a model.

    Returns
    -------
    ExportLedger
    """
    outside = [replace(each, place=place) for place, each in enumerate(one for one in export_events(frame, models) if not one.own)]
    return ExportLedger(outside, recipient_levels(decisions), models, limit)

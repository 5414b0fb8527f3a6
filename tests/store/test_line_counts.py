"""Which models the lines of a load concern; other models are not judged again."""

import numpy as np
import pytest

from observability.analyzers import discover
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.catalog import NOTED, RECORDED, UNNAMED
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.records.kinds import KINDS, NOTES, OF_NO_MODEL, OF_RUNS
from observability.store.ingest.line_counts import STORED, LineLedger


def ledger_of(*names: tuple[str, str]) -> LineLedger:
    """A ledger with one stored line for each model and kind."""
    ledger = LineLedger()
    for model, kind in names:
        ledger.note(model, kind, np.array([1]), np.array([STORED], np.int8), np.array([0]))
    return ledger


@pytest.mark.parametrize(
    ("model", "kind", "concerned"),
    [
        ("loan", "prediction", {"loan"}),
        ("loan", "label", {"loan"}),
        ("", "prediction", {UNNAMED}),
        ("loan", "event", {"loan", RECORDED}),
        ("", "event", None),
        ("loan", "price", {"loan", RECORDED}),
        ("", "price", None),
        ("", "batch", {RECORDED, UNNAMED}),
        ("", "cleaning", {RECORDED, UNNAMED}),
        ("", "storage_report", {RECORDED, UNNAMED}),
        ("", "run", {RECORDED, UNNAMED}),
        ("loan", "run", {"loan", RECORDED}),
        ("", "step", {RECORDED, UNNAMED}),
        ("loan", "device_report", {"loan", RECORDED}),
        ("", "decision", {RECORDED, UNNAMED}),
        ("loan", "decision", {"loan", RECORDED, UNNAMED}),
        ("", "dataset", None),
        ("", "annotation", None),
        ("", "assignment", None),
        ("loan", "verdict", {NOTED}),
        ("", "message", {NOTED}),
    ],
)
def test_a_loaded_line_concerns_only_the_models_whose_analyzers_read_it(model: str, kind: str, concerned: set[str] | None) -> None:
    assert ledger_of((model, kind)).changed_models() == concerned


def test_a_line_that_concerns_all_models_outweighs_the_others() -> None:
    assert ledger_of(("loan", "prediction"), ("", "annotation"), ("price", "label")).changed_models() is None
    ledger = ledger_of(("loan", "prediction"), ("", "step"))
    ledger.owners.add("price")
    assert ledger.changed_models() == {"loan", "price", RECORDED, UNNAMED}


def test_kinds_without_a_model_are_read_by_no_analyzer_of_models() -> None:
    """If an analyzer begins to read such a kind, the kind must be removed from OF_NO_MODEL, otherwise outdated findings would be kept."""
    import sys

    context = Context(EVERY_MODEL, NO_VERSION, Window("", EPOCH, EPOCH), EPOCH)
    for analyzer in discover():
        if analyzer.about == "records":
            continue
        asked = [each.aggregate for each in analyzer.needs(context).values()]
        asked += vars(sys.modules[analyzer.analyze.__module__]).values()
        kinds = {each.kind for each in asked if isinstance(each, Records)}
        assert not kinds & set(OF_NO_MODEL), analyzer.name
    assert not [kind for kind in (*OF_NO_MODEL, *OF_RUNS) if kind not in KINDS or kind in NOTES]
    assert not [kind for kind in OF_NO_MODEL if "model" in KINDS[kind].fields]

"""For a model with very many features, the rows that a case is compared with are read only with the most important features and those
flagged in the case.
"""

from collections.abc import Iterator

import pytest

from observability.core import analyzer
from observability.core.catalog import Column
from observability.core.questions import Sample
from observability.investigation import comparison_rows, input_faults, logged_prediction
from observability.investigation.case import case, open_case
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.sampled_rows import model_ready_values
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.new_store import new_store
from tests.support.wide_model import END, wide_model

COLUMNS, FEW = 60, 10


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("wide-case")
    with new_store(folder / "home") as held:
        wide_model(held, folder, COLUMNS)
        yield held


@pytest.fixture
def wide(store: Database, monkeypatch: pytest.MonkeyPatch) -> CaseInProgress:
    """A case of a model of which only FEW features are compared."""
    monkeypatch.setattr(analyzer, "MOST_INPUTS", FEW)
    return open_case(store, "p390", model=f"of {COLUMNS}", now=END)


def features_in(frame) -> list[str]:
    return [name for name in frame if str(name).startswith("feature.")]


def test_samples_hold_the_compared_and_the_flagged_features(wide: CaseInProgress) -> None:
    flagged = [each.feature for each in wide.part("inputs") if each.flagged]
    compared = {column.reference for column in wide.row.compared_features}
    assert len(compared) == FEW
    for frame in (comparison_rows.rows_of_reference(wide), comparison_rows.labelled_rows_of(wide)):
        held = set(features_in(frame))
        assert compared <= held and len(held) <= 2 * FEW
        assert held - compared <= {f"feature.{name}" for name in flagged}
        assert bool(flagged) <= bool(held & {f"feature.{name}" for name in flagged})


def test_the_compared_features_of_a_case_are_chosen_once(wide: CaseInProgress, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, choose = [], logged_prediction.most_important_names

    def counted(names, importance):
        chosen.append(len(names))
        return choose(names, importance)

    monkeypatch.setattr(logged_prediction, "most_important_names", counted)
    for name in wide.parts:
        wide.part(name)
    assert chosen == [COLUMNS]


def test_no_part_of_a_case_reads_more_than_it_compares(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyzer, "MOST_INPUTS", FEW)
    read, ask = [], type(store).ask

    def asked(self, question, window):
        if isinstance(question, Sample):
            read.append(len([name for name in question.columns if name.startswith("feature.")]))
        return ask(self, question, window)

    monkeypatch.setattr(type(store), "ask", asked)
    found = case(store, "p390", model=f"of {COLUMNS}", now=END)
    assert read and max(read) <= 2 * FEW
    assert len(found.inputs) == COLUMNS and found.neighbours and found.triage


def test_a_margin_reads_no_feature(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.investigation import decision_boundary

    read, ask = [], type(store).ask
    monkeypatch.setattr(type(store), "ask", lambda self, question, window: read.append(question) or ask(self, question, window))
    row = open_case(store, "p390", model=f"of {COLUMNS}", now=END).row
    found = decision_boundary.margin(store, row)
    samples = [each for each in read if isinstance(each, Sample)]
    assert len(samples) == 1 and not any(name.startswith("feature.") for name in samples[0].columns)
    assert found.rows == 400 and found.share_nearer is not None


def test_missing_values_are_counted_among_the_compared_features(wide: CaseInProgress) -> None:
    """Features chosen because they are missing in this case are missing in few other rows, so comparing them would be unfair."""
    names = [column.name for column in wide.row.compared_features]
    wide.row.features.update(dict.fromkeys(names[:3]))
    said = input_faults.missing_together(wide)
    assert said is not None and said.startswith(f"3 of {FEW} compared inputs are missing at once, as in 0 %")


def test_a_version_with_other_features_is_compared_by_its_own_features(
    store: Database, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Regression: versions can have different features, so the most important features of the model may not be those of a version. Parts of
    the case then failed with a KeyError.
    """
    folder = tmp_path_factory.getbasetemp()
    reference, served = (next(folder.glob(f"wide-case*/{name}.parquet")) for name in ("reference", "served"))
    model, own = f"of {COLUMNS}", tuple(f"category {place}" for place in range(COLUMNS // 2))
    store.register(RegistrationRequest(model, "2", reference, task="binary", label="label", score=("score",), features=own))
    assert store.load_files([served], LoadDefaults("prediction", model, "2", own)).rejected == 0
    monkeypatch.setattr(analyzer, "MOST_INPUTS", FEW)
    of_case = open_case(store, "p390", model=model, version="2", now=END)
    assert [column.name for column in of_case.row.compared_features] == list(own[:FEW])
    found = case(store, "p390", model=model, version="2", now=END)
    assert found.neighbours and found.triage and not found.why.keys() & {"neighbours", "triage"}


def test_values_get_the_types_and_the_order_of_the_columns() -> None:
    columns = [
        Column(1, "a", "c1", "number"),
        Column(2, "b", "c2", "category"),
        Column(3, "c", "c3", "number"),
        Column(4, "d", "c4", "boolean"),
    ]
    frame = model_ready_values(columns, [{"a": 1, "b": "x", "c": None, "d": True}, {"a": None, "c": 2.5, "d": False}])
    assert list(frame) == ["a", "b", "c", "d"] and [str(kind) for kind in frame.dtypes] == ["float64", "object", "float64", "object"]
    assert frame["a"].tolist() == pytest.approx([1.0, float("nan")], nan_ok=True) and frame["b"].tolist() == ["x", None]
    assert frame["c"].tolist() == pytest.approx([float("nan"), 2.5], nan_ok=True) and frame["d"].tolist() == [True, False]
    assert model_ready_values(columns, []).shape == (0, 4) and list(model_ready_values(columns[1:2], [{}])["b"]) == [None]

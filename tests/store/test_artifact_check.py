"""A model file that gives other scores than its reference is refused, or the difference is recorded. The inputs of the file decide which
columns are features.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.store.db.database import Database
from observability.store.registry.register import register_version
from observability.store.types.registration import NotScoredError, RegistrationRequest, ScoredReference
from tests.support.new_store import new_store

Scores = Callable[[pd.DataFrame], np.ndarray]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    with new_store(tmp_path / "home", threads=1) as opened:
        yield opened


def chance(rows: pd.DataFrame) -> np.ndarray:
    """The probability that the model file gives."""
    return 1 / (1 + np.exp(-(rows["income"].to_numpy(float) - 30) / 5))


def reference(folder: Path, n: int = 800) -> pd.DataFrame:
    """A flat reference with a sensitive column, written to reference.csv."""
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"income": rng.normal(30, 8, n).round(2), "sex": rng.choice(["F", "M"], n), "age": rng.normal(40, 9, n).round(1)})
    rows["score"] = chance(rows).round(4)
    rows["label"] = (rng.random(n) < rows["score"]).astype(int)
    rows.to_csv(folder / "reference.csv", index=False)
    return rows


def request(folder: Path, **more: Any) -> RegistrationRequest:
    """The request to register the reference with a model file."""
    (folder / "model.txt").write_text("tree\nversion=v4\n", encoding="utf-8")
    return RegistrationRequest(
        "loan", "1", folder / "reference.csv", "binary", "label", ("score",), artifact=folder / "model.txt", **more
    )  # fmt: skip


def scorer(scores: Scores, takes: tuple[str, ...] = ("income", "age")) -> Any:
    """A scorer that returns the given scores and takes the given columns as inputs."""

    def score(_path: Path, rows: pd.DataFrame, _task: str, _classes: tuple[str, ...]) -> ScoredReference:
        missing = [name for name in takes if name not in rows]
        if missing:
            raise UsageError("the rows lack features of the model", got=f"no {missing[0]}")
        return ScoredReference(scores(rows), takes)

    return score


def test_a_model_file_with_other_scores_is_refused_with_figures_and_nothing_is_stored(store: Database, tmp_path: Path) -> None:
    reference(tmp_path)
    with pytest.raises(UsageError) as raised:
        register_version(store, request(tmp_path), scorer=scorer(lambda rows: 1 - chance(rows)))
    said = str(raised.value)
    assert "other scores than the reference holds (in model.txt)" in said
    assert "apart on average over 500 rows" in said and "was logged" in said and "--artifact" in said
    assert not store.catalog().models and not list(store.home.glob("artifacts/**/*.txt"))


def test_a_score_that_is_not_finite_is_another_score(store: Database, tmp_path: Path) -> None:
    reference(tmp_path)
    with pytest.raises(UsageError, match="other scores"):
        register_version(store, request(tmp_path), scorer=scorer(lambda rows: np.where(np.arange(len(rows)) == 3, np.nan, chance(rows))))


def test_small_differences_are_recorded_with_the_version(store: Database, tmp_path: Path) -> None:
    reference(tmp_path)
    done = register_version(store, request(tmp_path), scorer=scorer(lambda rows: np.clip(chance(rows) + 0.01, 0, 1)))
    version = store.catalog().model("loan").version("1")
    assert version is not None and version.artifact_difference is not None
    assert version.artifact_difference.startswith("The scores of the model file differ from the logged ones by 0.0")
    assert done.sentences[-1] == f"Warning: t{version.artifact_difference[1:]}"


def test_equal_scores_are_reported_and_no_difference_is_recorded(store: Database, tmp_path: Path) -> None:
    reference(tmp_path)
    done = register_version(store, request(tmp_path), scorer=scorer(chance))
    assert "gives the logged scores in 500 rows" in done.sentences[-1]
    assert store.catalog().model("loan").versions[0].artifact_difference is None


def test_a_file_that_cannot_be_run_here_is_not_compared_and_says_so(store: Database, tmp_path: Path) -> None:
    def cannot(*_: object) -> ScoredReference:
        raise NotScoredError("the library lightgbm is not installed")

    reference(tmp_path)
    done = register_version(store, request(tmp_path), scorer=cannot)
    assert done.sentences[-1] == "The scores of the model file were not compared with the reference: the library lightgbm is not installed."


def test_a_sensitive_column_that_the_model_file_takes_is_a_feature_and_a_group(store: Database, tmp_path: Path) -> None:
    reference(tmp_path)
    done = register_version(
        store, request(tmp_path, sensitive=("sex",)), scorer=scorer(chance, ("income", "sex", "age"))
    )  # fmt: skip
    model = store.catalog().model("loan")
    column = model.column("feature.sex")
    assert column is not None and column.sensitive and model.column("group.sex") is None
    assert model.versions[0].features == ("income", "sex", "age")
    assert any("Features as well as groups: sex (the model file takes it)." in said for said in done.sentences)


def test_a_sensitive_column_that_the_model_file_does_not_take_is_a_group(store: Database, tmp_path: Path) -> None:
    reference(tmp_path)
    done = register_version(store, request(tmp_path, sensitive=("sex",)), scorer=scorer(chance))
    assert store.catalog().model("loan").column("group.sex") is not None
    assert any("Log sex under `groups`: the model file does not take it." in said for said in done.sentences)

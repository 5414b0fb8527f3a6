"""The rows added, changed and deleted between two versions equal those found by a loop over the keys."""

import numpy as np
import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.metrics.dataset_changes import row_changes


def test_dataset_changes_equal_those_of_a_loop_over_the_keys() -> None:
    rng = np.random.default_rng(4)
    before = pd.DataFrame({"id": rng.permutation(300)[:200], "x": rng.integers(0, 3, 200), "y": rng.choice(["a", None], 200)})
    after = pd.DataFrame({"id": rng.permutation(300)[:220], "x": rng.integers(0, 3, 220).astype(float), "y": rng.choice(["a", None], 220)})
    after.loc[rng.random(220) < 0.1, "x"] = np.nan
    old, new = ({row["id"]: row for row in table.to_dict("records")} for table in (before, after))

    def differ(one: object, other: object) -> bool:
        return not (one == other or (pd.isna(one) and pd.isna(other)))

    differing = [[name for name in ("x", "y") if differ(old[key][name], new[key][name])] for key in old.keys() & new.keys()]
    found = row_changes(before, after, "id")
    assert (found.added, found.deleted) == (len(new.keys() - old.keys()), len(old.keys() - new.keys()))
    assert found.changed == sum(bool(names) for names in differing) > 50
    assert found.columns == {name: sum(name in names for names in differing) for name in ("x", "y")}


def test_equal_versions_in_another_order_and_with_a_new_column_changed_nothing() -> None:
    rows = pd.DataFrame({"id": ["a", "b", "c"], "x": [1.0, np.nan, 3.0]})
    found = row_changes(rows, rows.iloc[::-1].assign(new=1), "id")
    assert (found.added, found.changed, found.deleted, found.columns) == (0, 0, 0, {})
    with pytest.raises(UsageError, match="version after"):
        row_changes(rows, pd.concat([rows, rows]), "id")

"""Make the pruned twin of flights-late. `python sample_data/pruned.py`

It consists of the first quarter of the trees of version 1's shipped file; this is the form that `observability trade-offs` names so. In the
environment `shadow` it answers for the real flights of 18 to 31 December, under the ids of version 1, each request by itself. Model
selection, Compare and Trade-offs then show the effects of a smaller file. Its reference is a part of version 1's reference, scored by
pruned models that were fitted without the fold of the row.
"""

import sys
import tempfile
from pathlib import Path

import lightgbm
import pandas as pd

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sample_data import challenger, collecting, flights, serving, sources, training
from sample_data.spec import Rows, hashes

HERE = Path(__file__).resolve().parent
FIRST, LAST = "2013-12-18", "2013-12-31"
"""First and last local day that the twin answers for."""
REFERENCE_ONE_IN = 15 * flights.SERVES_ONE_IN


def pruned_rows(every: pd.DataFrame) -> Rows:
    """The rows that version 1 has learned from, one in fifteen of its reference rows, and the rows that the twin answers.

    every: the table of flights that `flights.flights` returns.
    """
    rows = flights.rows_for(flights.PRUNED, every)
    reference = pd.Series([each % REFERENCE_ONE_IN == 0 for each in hashes(rows.train["id"])], index=rows.train.index)
    days = rows.serve["id"].str.slice(stop=8).between(FIRST.replace("-", ""), LAST.replace("-", ""))
    return Rows(rows.train, reference, rows.serve[days])


def make(published: dict[str, pd.DataFrame], out: Path) -> None:
    """Prunes, serves and writes the files of the version. published: the tables of the source."""
    spec, rows = flights.PRUNED, pruned_rows(flights.flights(published))
    lightgbm.Booster(model_file=str(out / flights.LATE.artifact)).save_model(out / spec.artifact, num_iteration=spec.rounds)
    scores = challenger.cross_fitted(spec, rows, training.model_input(spec, rows.train))
    reference = rows.train[rows.in_reference].assign(score=scores)
    collecting.write_table(reference[["id", "at", "score", "label", *spec.features]].copy(), out / spec.reference)
    with tempfile.TemporaryDirectory(prefix="sample-pruned-") as home:
        serving.serve(spec, rows.serve, {serving.SHIPPED: out / spec.artifact}, Path(home))
        challenger.collect(Path(home), spec, out)


if __name__ == "__main__":
    make(sources.read_flights(Path(tempfile.gettempdir()) / "observability-sample-data"), HERE)

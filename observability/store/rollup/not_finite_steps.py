"""Keep the steps at which runs logged a value that is not finite.

A question about a long run reads every nth step (store/query/records.py). By these notes it also reads the first and the last step with
such a value, without a search through all records. A note whose record was removed is not harmful: the query looks at the records again.
"""

from observability.store.db.results import Cursor
from observability.store.db.schema import NOT_FINITE


def note_not_finite_steps(writer: Cursor, source: str) -> None:
    """Note the steps of a table or query of step records, within the transaction that stores them."""
    writer.execute(f"INSERT INTO not_finite_steps SELECT DISTINCT run, step FROM {source} WHERE {NOT_FINITE}")


def redo_not_finite_steps(writer: Cursor) -> None:
    """Note the steps of all records anew, after records were removed or their texts changed."""
    writer.execute("DELETE FROM not_finite_steps")
    note_not_finite_steps(writer, "steps")

"""Warn of text columns of a reference that seem to hold personal data, before they are logged every day."""

import numpy as np
import pyarrow as pa

from observability.core.formatting import join_words
from observability.records.personal_data import personal_data_counts, texts_of_kinds
from observability.store.registry.score_columns import quoted_name
from observability.store.types.registration import FeatureColumn

MAX_TEXTS = 2_000
"""Texts of a column that are looked at, evenly spread over its rows."""
TEXT_CHARACTERS = 2_000
"""Characters of a text that are looked at."""


def personal_data_warnings(table: pa.Table, columns: tuple[FeatureColumn, ...]) -> list[str]:
    """A warning for each text column with personal data, with kinds and counts, never a value."""
    warnings = []
    for column in columns:
        if not pa.types.is_string(table[column.source].type) and not pa.types.is_large_string(table[column.source].type):
            continue
        cells = table[column.source].drop_null()
        rows = np.arange(0, len(cells), max(1, -(-len(cells) // MAX_TEXTS)))
        texts = [text[:TEXT_CHARACTERS] for text in cells.take(pa.array(rows)).to_pylist()]
        if counts := personal_data_counts(texts):
            kinds = join_words([f"{kind} ({len(places):,})" for kind, places in texts_of_kinds(counts).items()])
            reasons = "; ".join(f"{count.why} ({count.texts:,})" for count in counts)
            found = f"{quoted_name(column.name)} seems to hold {kinds} in {len(texts):,} texts"
            warnings.append(f"{found}: hash or drop it under [protect] in the settings. Found by: {reasons}.")
    return warnings

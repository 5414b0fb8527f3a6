"""Images of a home that erased predictions name. They are removed with the predictions, unless another prediction of the model names them
too.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from observability.core.catalog import Model
from observability.store.db.results import Cursor
from observability.store.db.schema import model_table, quoted_identifier

FOLDER = "images"


def named_images(writer: Cursor, model: Model, chosen: str, home: Path) -> dict[str, Path]:
    """The files in the home's folder of images that chosen predictions of a model name, by the text that names them. chosen: SQL
    condition.
    """
    folder = (home / FOLDER).resolve()
    if not folder.is_dir():
        return {}
    rows = writer.execute(
        f"SELECT {', '.join(_text_columns(model))} FROM {model_table('predictions', model.key)} WHERE {chosen}"
    ).fetchall()
    found = {}
    for text in {text for extra, *values in rows for text in (*_texts(extra), *values) if text and len(text) < 2000 and "\0" not in text}:
        path = (folder / text).resolve()
        if path.is_relative_to(folder) and path.is_file():
            found[text] = path
    return found


def remove_images(writer: Cursor, model: Model, images: Mapping[str, Path]) -> int:
    """Remove those images that no prediction of the model names any more; returns their number. Raises OSError."""
    gone = 0
    for text, path in images.items():
        extra, *columns = _text_columns(model)
        named = " OR ".join([f"contains({extra}::VARCHAR, ?)", *(f"{column} = ?" for column in columns)])
        query = f"SELECT 1 FROM {model_table('predictions', model.key)} WHERE {named} LIMIT 1"
        if not writer.execute(query, [json.dumps(text, ensure_ascii=False)[1:-1], *(text for _ in columns)]).fetchall():
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def _text_columns(model: Model) -> list[str]:
    """The columns that may name an image: unknown fields, and features that are texts."""
    return ["extra", *(quoted_identifier(column.column) for column in model.columns if column.kind == "category")]


def _texts(extra: str | None) -> Iterator[str]:
    """The texts among the unknown fields."""
    body: Any = json.loads(extra or "{}")
    return (value for value in body.values() if isinstance(value, str)) if isinstance(body, dict) else iter(())

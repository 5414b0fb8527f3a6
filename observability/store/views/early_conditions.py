"""The conditions of a query that can be applied while its view is exported, so that rows that the query cannot use are not copied.

They are the conditions of its WHERE clause that compare a time or a text of the view with a literal and hold for every row of the answer.
The query is run with its full WHERE clause afterwards, so a condition may be missed here, but never added.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from observability.core.view_names import quoted_identifier
from observability.store.db.expressions import sql_literal
from observability.store.views.read_only_query import syntax_nodes

OPERATORS = {
    "COMPARE_EQUAL": "=",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}
TURNED = {"=": "=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
"""For each operator, the operator to use if its sides are exchanged."""
CASTS = ("TIMESTAMP", "DATE")
"""Types that a text literal may be cast to if it is compared with a time."""


def early_conditions(statement: Mapping[str, Any], types: Mapping[str, str]) -> list[str]:
    """The conditions of a query on its view, in SQL. There are none if the query reads more than one view, or a view twice.

    statement: syntax tree of the query. types: type of each column of the view, by name in lower case.
    """
    node = statement["node"]
    tables = [each for each in syntax_nodes(statement) if each.get("type") in ("BASE_TABLE", "TABLE_FUNCTION")]
    if len(tables) != 1 or node["type"] != "SELECT_NODE" or node["from_table"] is not tables[0] or node["cte_map"]["map"]:
        return []
    (table,) = tables
    if table["type"] != "BASE_TABLE" or table["sample"] or table["column_name_alias"]:
        return []
    names = {str(table["alias"]).lower(), str(table["qualified_name"]["path"][-1]).lower()}
    renamed = {str(each.get("alias") or "").lower() for each in node["select_list"]}
    known = {(*path, name): kind for name, kind in types.items() if name not in renamed for path in ((), *((own,) for own in names))}
    return [text for part in _conjuncts(node["where_clause"]) for text in _condition(part, known)]


def _conjuncts(clause: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """The parts of a WHERE clause that a row must all fulfil."""
    if clause is None:
        return
    if clause["type"] == "CONJUNCTION_AND":
        for part in clause["children"]:
            yield from _conjuncts(part)
    else:
        yield clause


def _condition(part: Mapping[str, Any], types: Mapping[tuple[str, ...], str]) -> Iterator[str]:
    """A part in SQL, if it compares a column with literals. types: types of columns, by the ways in which a query can name them."""
    if part["type"] == "COMPARE_BETWEEN":
        pairs = [(part["input"], ">=", part["lower"]), (part["input"], "<=", part["upper"])]
    elif (operator := OPERATORS.get(part["type"])) is not None:
        pairs = [(part["left"], operator, part["right"]), (part["right"], TURNED[operator], part["left"])]
    else:
        return
    for column, operator, value in pairs:
        path = tuple(str(name).lower() for name in column["column_names"]) if column["class"] == "COLUMN_REF" else ()
        if (literal := _literal(value, types.get(path, ""))) is not None:
            yield f"{quoted_identifier(path[-1])} {operator} {literal}"


def _literal(value: Mapping[str, Any], kind: str) -> str | None:
    """A text, or a time written as one, in SQL; None if it is anything else. kind: type of the column that it is compared with."""
    if kind not in ("TIMESTAMP", "VARCHAR"):
        return None
    cast = kind
    if value["class"] == "CAST" and not value["try_cast"]:
        cast, value = value["type_expr"].get("type_name", ""), value["child"]
    if value["class"] != "CONSTANT" or value["literal"]["kind"] != "STRING":
        return None
    text = sql_literal(value["literal"]["text"])
    if kind == "VARCHAR" and cast == kind:
        return text
    return f"CAST({text} AS {cast})" if kind == "TIMESTAMP" and cast in CASTS else None

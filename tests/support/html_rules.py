"""Checks an HTML document: the parse errors of the HTML standard, and the content rules that our files could break. This part of a
validator runs without a network and without Java. The Nu validator of the W3C also finds no errors in these files: `java -jar vnu.jar
FILE.html` (npm: vnu-jar).
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from xml.etree.ElementTree import Element

from tinyhtml5.parser import HTMLParser

HTML, SVG = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/2000/svg}"
ELEMENTS = frozenset(
    "html head meta title style body main section h1 h2 h3 p br span strong em code bdi div ol ul li table caption thead tbody tr th td figure figcaption "
    "header footer nav a abbr time small sub sup dl dt dd".split()
)
"""Elements that a report may use: current elements that neither run nor fetch anything."""
ATTRIBUTES = frozenset("id class style lang dir title role scope colspan rowspan href datetime".split())
"""Attributes that these elements may have, in addition to aria-* and the attributes in the head."""
PHRASING = frozenset("br span strong em code bdi a abbr time small sub sup".split())
"""Elements that may be inside a paragraph or a heading."""


def invalid(html: str) -> list[str]:
    """The errors of a document, one line each; empty if it is valid."""
    assert html.startswith("<!DOCTYPE html>")
    parser = HTMLParser()
    root = parser.parse(html)
    found = [f"line {place[0]}: {code} {data}" for place, code, data in parser.errors]
    elements = list(root.iter())
    ids = Counter(each.get("id") for each in elements if each.get("id"))
    found += [f"id {name!r} {times} times" for name, times in ids.items() if times > 1]
    found += [f"#{name} leads nowhere" for each in elements if (name := (each.get("href") or "").removeprefix("#")) and name not in ids]
    found += [line for each in elements for line in of_element(each)]
    headings = [int(each.tag[-1]) for each in elements if re.fullmatch(rf"{re.escape(HTML)}h[1-6]", str(each.tag))]
    found += [] if headings[:1] == [1] and headings.count(1) == 1 else ["not one h1, at the beginning"]
    found += [f"h{deep} under h{above}" for above, deep in pairwise(headings) if deep > above + 1]
    return found


def of_element(element: Element) -> Iterator[str]:
    """The errors of one element."""
    if not isinstance(element.tag, str):
        return
    if element.tag == f"{SVG}svg" and not (element.get("aria-label") or element.find(f"{SVG}title") is not None):
        yield "a chart without a name"
    if not element.tag.startswith(HTML):
        return
    tag = element.tag.removeprefix(HTML)
    if tag not in ELEMENTS:
        yield f"<{tag}> is not for a report"
    odd = {str(each) for each in element.keys()} - ATTRIBUTES
    yield from (f"<{tag} {each}>" for each in odd if not each.startswith("aria-") and tag not in ("meta", "html"))
    inside = {str(each.tag).removeprefix(HTML) for each in element if str(each.tag).startswith(HTML)}
    if tag in ("p", "h1", "h2", "h3", "span", "strong", "code", "bdi") and inside - PHRASING:
        yield f"<{tag}> holds {sorted(inside - PHRASING)}"
    if tag == "table":
        widths = {sum(int(cell.get("colspan", 1)) for cell in row) for row in element.iter(f"{HTML}tr")}
        if len(widths) != 1:
            yield f"a table with rows of {sorted(widths)} cells"
    if tag in ("ul", "ol") and (inside - {"li"} or not inside):
        yield f"<{tag}> holds {sorted(inside) or 'nothing'}"

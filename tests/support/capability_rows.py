"""The rows of the tables in docs/capabilities.md."""

from pathlib import Path

TABLE = Path(__file__).parents[2] / "docs" / "capabilities.md"
COLUMNS = ("System", "Page", "Records", "Analyzer", "Faults in the lab", "In the sample", "Test", "Docs", "Not yet")


def capability_rows() -> list[dict[str, str]]:
    """The rows of all tables of the document, each by column, with the heading of its table as `Section`."""
    found, section = [], ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        section = line.removeprefix("## ") if line.startswith("## ") else section
        if line.startswith("| ") and cells[0] != "System":
            assert len(cells) == len(COLUMNS), line
            found.append(dict(zip(COLUMNS, cells, strict=True)) | {"Section": section})
    return found


def capability_analyzers() -> set[str]:
    """The analyzers that the rows name."""
    return {name for row in capability_rows() for name in row["Analyzer"].split(", ")} - {"–"}


def capability_pages() -> set[str]:
    """Titles of the pages on which systems are shown."""
    return {page for row in capability_rows() for page in row["Page"].split(", ")} - {"–", "every page"}

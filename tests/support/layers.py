"""The layers of packages, and the imports that violate them."""

FLOORS = (
    ("core",),
    ("stats", "records", "incidents"),
    ("client",),
    ("metrics", "store.types", "importers", "probing"),
    ("detection", "store.db", "lake"),
    ("proofs",),
    ("analyzers", "store.query", "store.views"),
    ("store.rollup",),
    ("store.ingest",),
    ("store.registry",),
    ("store.lake",),
    ("store",),
    ("worker",),
    ("monitoring",),
    ("enrichment", "compare", "alerts", "simulation"),
    ("investigation",),
    ("review",),
    ("export",),
    ("server",),
    ("cli",),
    ("dashboard", "__main__", "observability"),
    ("app", "pages", "sample_data"),
)
"""Packages from the lowest floor up. A package may import only from lower floors. A package on no floor fails the test."""
FLOOR_OF = {package: floor for floor, packages in enumerate(FLOORS) for package in packages}


def upward(packages: dict[str, dict[str, list[tuple[str, str]]]]) -> list[str]:
    """Sentences about imports from a package on the same floor or a higher one. A package without a floor counts as below the lowest."""
    found = []
    for here, targets in packages.items():
        for there, pairs in targets.items():
            if FLOOR_OF.get(there, -1) >= FLOOR_OF.get(here, -1):
                found += [f"{name} imports {target}" for name, target in pairs]
    return sorted(found)

"""Analyzers, one file each at `<section>/<name>.py`. `discover` finds them by walking this folder."""

import importlib
import pkgutil
from functools import cache

from observability.core.analyzer import Analyzer


@cache
def discover() -> tuple[Analyzer, ...]:
    """Return every analyzer found under observability/analyzers, sorted by name."""
    found = []
    for info in pkgutil.walk_packages(__path__, prefix=f"{__name__}."):
        if info.ispkg:
            continue
        module = importlib.import_module(info.name)
        if (analyzer := getattr(module, "ANALYZER", None)) is not None:
            found.append(analyzer)
    return tuple(sorted(found, key=lambda analyzer: analyzer.name))

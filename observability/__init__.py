"""The public names of `import observability`, for services that log predictions and for notebooks.

Each name is loaded when it is first used. Nothing here, and no module that it loads, imports more than the standard library. The only
exception is `report`, which compares two data frames in a notebook and needs the packages of the dashboard.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from observability.client.asgi import ObservabilityMiddleware
    from observability.client.log import Logger
    from observability.client.runs import track_run
    from observability.client.wsgi import ObservabilityWSGIMiddleware

__all__ = ["Logger", "ObservabilityMiddleware", "ObservabilityWSGIMiddleware", "report", "track_run"]

_HOMES = {
    "Logger": "observability.client.log",
    "ObservabilityMiddleware": "observability.client.asgi",
    "ObservabilityWSGIMiddleware": "observability.client.wsgi",
    "report": "observability.cli.frames_report",
    "track_run": "observability.client.runs",
}


def __getattr__(name: str) -> object:
    """The exported object called `name`, imported now; AttributeError for any other name."""
    if name == "__version__":
        from observability.core.version import VERSION

        return VERSION
    if name not in _HOMES:
        raise AttributeError(f"module 'observability' has no attribute {name!r}")
    from importlib import import_module

    exported = getattr(import_module(_HOMES[name]), name)
    globals()[name] = exported
    return exported


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

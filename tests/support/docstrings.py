"""Numpydoc sections of the public functions of a package."""

import inspect
import pkgutil
import re
from importlib import import_module
from types import FunctionType, ModuleType


def public_functions(package: ModuleType, *, without: frozenset[str] = frozenset()) -> list[FunctionType]:
    """The public functions defined in the modules of a package, without their cache wrappers."""
    found = []
    for module in pkgutil.iter_modules(package.__path__):
        if module.name not in without:
            members = vars(import_module(f"{package.__name__}.{module.name}"))
            defined = [inspect.unwrap(member) for name, member in members.items() if not name.startswith("_") and callable(member)]
            found += [each for each in defined if isinstance(each, FunctionType) and each.__module__.endswith(f".{module.name}")]
    return found


def qualified(function: FunctionType) -> str:
    """The module and name of a function, used as the id of a test."""
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


def sections(function: FunctionType) -> dict[str, str]:
    """The text of each numpydoc section, by title; the title of the summary is empty."""
    parts = re.split(r"^(\w+)\n-+\n", inspect.getdoc(function) or "", flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def documented_parameters(function: FunctionType) -> list[str]:
    """The names in the section Parameters, in order."""
    return re.findall(r"^(\w+) : ", sections(function).get("Parameters", ""), flags=re.MULTILINE)

"""A command imports only the libraries that it uses, so its first answer does not wait for other libraries."""

import subprocess
import sys

from observability.cli.execute import MODULES, command_function
from observability.server.access import COMMANDS

SCRIPT = """
import sys
from observability.cli.execute import command_function
assert callable(command_function("status"))
print([name for name in ("pandas", "scipy", "statsmodels", "sklearn") if name in sys.modules])
print([name for name in sys.modules if name.startswith("observability.cli.commands")])
"""


def test_a_command_imports_only_its_own_module():
    told = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout.splitlines()
    assert told == ["[]", "['observability.cli.commands']"]


def test_every_command_with_a_module_exists():
    assert set(MODULES) <= set(COMMANDS)
    assert all(callable(command_function(name)) for name in MODULES)
    assert command_function("serve") is None

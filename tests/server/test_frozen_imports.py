"""Garbage collections skip objects from imports; garbage that arises before and after is still collected."""

import subprocess
import sys

SCRIPT = """
import gc, sys, types, weakref
from observability.server import frozen_imports

class Part: pass

def cycle():
    part = Part()
    part.itself = part
    return part, weakref.ref(part)

def examined():
    return len(gc.get_objects())

gc.disable()
frozen_imports.leave_imports_out_of_collections()
before, in_use = examined(), cycle()
gc.collect()
assert gc.get_freeze_count() > 0.9 * before and examined() < 0.1 * before, "modules are left out"

new, seen = cycle()
del new
gc.collect()
assert seen() is None, "what became garbage later is collected"

kept, seen = in_use
del kept, in_use
gc.collect()
assert seen() is not None, "it was in use when the modules were left out"
sys.modules.update({f"more{number}": types.ModuleType(f"more{number}") for number in range(len(sys.modules))})
gc.collect()
assert seen() is None, "many imports later all objects are looked at"
assert sys.modules["more0"] not in gc.get_objects(), "and the new modules are left out"

kept, seen = cycle()
sys.modules.update({f"other{number}": types.ModuleType(f"other{number}") for number in range(len(sys.modules))})
gc.collect()
del kept
gc.collect()
assert seen() is not None
frozen_imports.LOOK_AT_ALL = 0.0
gc.collect()
assert seen() is None, "after a time all objects are looked at in any case"
"""


def test_collections_leave_imports_out_and_still_find_all_garbage() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

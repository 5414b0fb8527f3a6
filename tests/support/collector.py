"""A collector for tests: a separate process with the HTTP routes and the loader, which can be killed and started again.

`python tests/support/collector.py HOME PORT` runs a collector.
"""

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def serve_collector(home: Path, port: int) -> None:
    """Serve until the process ends."""
    sys.path.insert(0, str(ROOT))
    import uvicorn
    from starlette.applications import Starlette

    from observability.server import api, process_lock

    owner = process_lock.own_home(home, wait=30.0)
    owner.start_loader()
    uvicorn.run(Starlette(routes=api.routes()), host="127.0.0.1", port=port, log_level="error")
    owner.close()


class Collector:
    """A home, a port, and the process that serves the home on that port."""

    def __init__(self, home: Path) -> None:
        from observability.server import tokens
        from tests.support.ports import free_port

        home.mkdir(exist_ok=True)
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = tokens.create_token(home, "write")[1]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> None:
        """Start the process. wait: whether to wait until it answers."""
        self.process = subprocess.Popen([sys.executable, __file__, str(self.home), str(self.port)])
        end = time.monotonic() + 180
        while wait:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert self.process.poll() is None, "the collector ended early"
            assert time.monotonic() < end, "the collector did not start"
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the process without notice."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stored_ids(self) -> list[str]:
        """The ids of all stored predictions, after all landing segments are loaded. The collector must not run meanwhile."""
        from observability.store.opener import open_store

        with open_store(self.home) as store:
            report = store.load_landing()
            assert report.rejected == 0, report.examples
            names = [model.key for model in store.catalog().models]
            with store.cursor() as cursor:
                return [name for key in names for (name,) in cursor.execute(f"SELECT id FROM predictions_{key}").fetchall()]


if __name__ == "__main__":
    serve_collector(Path(sys.argv[1]), int(sys.argv[2]))

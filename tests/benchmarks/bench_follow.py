"""How long after a training job logs a step does the job's page show it?

    python tests/benchmarks/bench_follow.py [--points 30] [--pause 2.0]

A job in its own process logs steps with `track_run`, at irregular times, and notes when each call returns. A dashboard serves the same
home, and Chromium shows *Training runs* with that job. The page notes when each step number first appears in its text. Both use the
machine's clock. Printed are the median, the 99th percentile and the longest of the delays, in seconds. A step that the page skipped,
because a later one came first, counts as shown with the later one.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.heights import LAPTOP
from tests.browser.pages import PATIENCE
from tests.support.running import dashboard

JOB = """
import random, sys, time
from observability import track_run
home, points, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
with track_run(run="going", home=home) as run:
    run.step(1, train_loss=1.0)
    sys.stdin.readline()
    for step in range(2, points + 2):
        run.step(step, train_loss=1 / step)
        print(step, time.time(), flush=True)
        time.sleep(pause * random.uniform(0.5, 1.5))  # the time that a step takes; irregular, so that it does not keep step with the page's clock
"""
WATCH = """() => {
  window.stepsSeen = {}
  setInterval(() => {
    const found = /going is active: ([\\d,]+) steps?/.exec(document.body.innerText)
    const steps = found && Number(found[1].replaceAll(',', ''))
    if (steps && !(steps in window.stepsSeen)) window.stepsSeen[steps] = Date.now() / 1000
  }, 20)
}"""


def main() -> int:
    """Print the delays. Returns 1 if a step never appeared on the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=30, help="how many steps the job logs")
    parser.add_argument("--pause", type=float, default=2.0, help="mean seconds between two of them")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder) / "home"
        command = [sys.executable, "-c", JOB, str(home), str(asked.points), str(asked.pause)]
        with (
            dashboard(home) as served,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as job,
        ):
            assert job.stdin and job.stdout
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport=LAPTOP)
            page.set_default_timeout(PATIENCE)
            page.goto(f"{served.url}/runs?run=going")
            page.wait_for_function("() => document.body.innerText.includes('going is active: 1 step')")
            page.evaluate(WATCH)
            job.stdin.write("go\n")
            job.stdin.flush()
            logged = dict(map(float, line.split()) for line in job.stdout)
            page.wait_for_function("last => Object.keys(window.stepsSeen).some((each) => Number(each) >= last)", arg=asked.points + 1)
            shown = {int(step): at for step, at in page.evaluate("() => Object.entries(window.stepsSeen)")}
            browser.close()
    delays = np.array([min((at for step, at in shown.items() if step >= number), default=np.nan) - at for number, at in logged.items()])
    print(f"{len(delays)} steps: median {np.median(delays):.2f} s, p99 {np.quantile(delays, 0.99):.2f} s, longest {delays.max():.2f} s")
    return int(np.isnan(delays).any())


if __name__ == "__main__":
    sys.exit(main())

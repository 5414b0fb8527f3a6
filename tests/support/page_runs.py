"""Makes pages in AppTest take as long as they take in a server, in tests and in benchmarks."""

import functools


def run_pages_as_a_server_does() -> None:
    """Switch off what AppTest adds to each run of a page: a search for components, a garbage collection of the whole process, and polling."""
    find_components_once()
    collect_no_garbage_after_a_page()
    wait_for_a_page_once()


def collect_no_garbage_after_a_page() -> None:
    """Switch off the garbage collection after each run of a page. It would examine all objects of the test's process, many more than a
    server has; the server's collection is tested in a separate process.
    """
    from streamlit import config

    config.set_option("runner.postScriptGC", False)


def find_components_once() -> None:
    """Let Streamlit search the installed packages for components only once. In tests, every run of a page would search them, which takes
    four fifths of the run.
    """
    from streamlit.components.v2 import manifest_scanner

    manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


def wait_for_a_page_once() -> None:
    """Let a test sleep until the run of its page has ended. Otherwise AppTest polls a thousand times a second and holds the interpreter
    each time.
    """
    from streamlit.testing.v1 import local_script_runner

    poll = local_script_runner.require_widgets_deltas

    def wait(runner: local_script_runner.LocalScriptRunner, timeout: float = 3) -> None:
        if runner._script_thread is not None:
            runner._script_thread.join(timeout)
        poll(runner, timeout)

    local_script_runner.require_widgets_deltas = wait

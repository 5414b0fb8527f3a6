"""Rewrites the asserts of all test files once, before the workers start: `python -m tests.support.rewritten`.

On a fresh checkout every worker would otherwise rewrite every file that it collects, all at the same time. pytest uses the files written
here as its own.
"""

from multiprocessing import Pool
from pathlib import Path

from _pytest.assertion import rewrite

TESTS = Path(__file__).parents[1]


def write_rewritten(file: Path) -> None:
    """Write the compiled form of a test file, with rewritten asserts, into its cache folder, unless the form that is there comes from the
    same text.
    """
    compiled = rewrite.get_cache_dir(file) / (file.stem + rewrite.PYC_TAIL)
    if rewrite._read_pyc(file, compiled) is None:
        compiled.parent.mkdir(exist_ok=True)
        text_hash, code = rewrite._rewrite_test(file, None)
        rewrite._write_pyc(None, code, text_hash, compiled)


if __name__ == "__main__":
    files = sorted([*TESTS.rglob("test_*.py"), *TESTS.rglob("conftest.py")], key=lambda each: -each.stat().st_size)
    with Pool(2) as pool:
        pool.map(write_rewritten, files, chunksize=8)

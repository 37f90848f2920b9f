"""``python -m tests.chaos``: chaos for as long as one likes, and its figures."""

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path

from tests.chaos.run import Plan, in_words, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 11)), help="one run each")
    parser.add_argument("--store", help="URL; by default a SQLite file of each run's own")
    for each in fields(Plan)[1:]:
        kind = float if each.name == "seconds" else int
        parser.add_argument(f"--{each.name}", type=kind, default=each.default)
    parser.add_argument("--keep", action="store_true", help="keep the folders, with what the processes said")
    asked = parser.parse_args()
    failed = 0
    for seed in asked.seeds:
        plan = Plan(seed, asked.executions, asked.kills, asked.pauses, asked.seconds)
        folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
        begun = time.monotonic()
        figures = run(folder, asked.store or f"sqlite:///{folder / 'nbflow.sqlite'}", plan)
        print(in_words(plan, figures, time.monotonic() - begun), flush=True)
        failed += bool(figures.lost)
        if asked.keep or figures.lost:
            print(f"  {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

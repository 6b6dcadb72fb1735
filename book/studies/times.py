"""How long each chapter computes, on one thread and on two, measured one after the other: python book/studies/times.py"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from minigpt import results

ROOT = Path(__file__).resolve().parents[2]


def seconds(path: Path, threads: int) -> float:
    """Wall time of running a notebook from top to bottom in a fresh kernel, its imports included."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(path.read_bytes())
        start = time.perf_counter()
        subprocess.run([sys.executable, ROOT / "book" / "execute.py", copy], check=True,
                       env=os.environ | {"OMP_NUM_THREADS": str(threads)})
        return time.perf_counter() - start


if __name__ == "__main__":
    values = {path.stem: {f"{n} thread{'s' * (n > 1)}": round(seconds(path, n), 1) for n in (1, 2)}
              for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb"))}
    results.save("chapter-times", values, "python book/studies/times.py",
                 protocol="seconds from start to end, one run each, nothing else running", summary="seconds for each chapter")
    print(values)

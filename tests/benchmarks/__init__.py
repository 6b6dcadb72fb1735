"""Speed side by side with the peers, in one run, as ratios. `python dev.py bench`; never part of the tests.

Peers that no package carries are found through MINIGPT_PEERS, a folder with clones of nanoGPT and minbpe.
"""

import os
import statistics
import sys
import time
from pathlib import Path


def peer(name: str) -> Path | None:
    """The clone of a peer, importable from then on; None if it is not there."""
    folder = Path(os.environ.get("MINIGPT_PEERS", "")) / name
    if not os.environ.get("MINIGPT_PEERS") or not folder.is_dir():
        print(f"(no {name}: set MINIGPT_PEERS to a folder that holds a clone of it)")
        return None
    sys.path.insert(0, str(folder))
    return folder


def race(runners: dict, rounds: int = 5, seconds: float = 1.0) -> dict[str, float]:
    """Median seconds per call of each runner, taken in turns so that a slow minute of the machine hits all of them alike."""
    calls = {}
    for name, runner in runners.items():
        runner()  # warm up
        start = time.perf_counter()
        runner()
        calls[name] = max(1, round(seconds / (time.perf_counter() - start)))
    times = {name: [] for name in runners}
    for _ in range(rounds):
        for name, runner in runners.items():
            start = time.perf_counter()
            for _ in range(calls[name]):
                runner()
            times[name].append((time.perf_counter() - start) / calls[name])
    return {name: statistics.median(values) for name, values in times.items()}

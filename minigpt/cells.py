"""Measurements that survive a kill: each finished one is a line of cells.jsonl, found again by everything it depends on.

A table of an ablation has hundreds of cells, each of them a training run of seconds. `run` measures those that are not yet in the
file, in several processes if asked, and only the parent writes: a line at a time, flushed to the disk before the next is begun.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm


class Cells:
    """The measurements of a folder. `code`: a fingerprint of the code that makes them; others' are not used, unless `older` is set.

    A job is a dictionary of plain values, and the whole of it is the key: measurements that differ in anything never mix.
    """

    def __init__(self, folder: str | Path, code: str = "", older: bool = False):
        self.path, self.code, self.older = Path(folder) / "cells.jsonl", code, older
        self.values, self.passed_over = {}, 0
        lines = self.path.read_bytes().split(b"\n") if self.path.is_file() else []
        self._torn = bool(lines and lines[-1])  # a kill in the middle of a line
        for line in lines:
            try:
                row = json.loads(line)
                name, value, code = _key(row["job"]), row["value"], row["code"]
            except (ValueError, KeyError, TypeError):
                continue
            if older or code == self.code:
                self.values[name] = value
            else:
                self.passed_over += 1

    def __contains__(self, job: dict) -> bool:
        return _key(job) in self.values

    def __getitem__(self, job: dict):
        """The value of a job; KeyError if it has not been measured."""
        return self.values[_key(job)]

    def add(self, job: dict, value) -> None:
        """Append a measurement, on the disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"job": job, "value": value, "code": self.code}, sort_keys=True, allow_nan=False)
        with open(self.path, "a", encoding="utf-8", newline="\n") as file:
            file.write(("\n" if self._torn else "") + line + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._torn = False
        self.values[_key(job)] = value


def run(function: Callable[[dict], object], jobs: Sequence[dict], cells: Cells, processes: int = 1, progress: bool = True,
        label: str = "cells") -> list:
    """The values of `jobs`, in their order: those known already, and function(job) of all others.

    function: of a module, since other processes import it. Each process computes on one thread, so that the values do not depend
    on how many there are. A failing job ends the run, after those finished before it have been kept.
    """
    missing = {_key(job): job for job in jobs if job not in cells}
    bar = tqdm(total=len(jobs), initial=len(jobs) - len(missing), desc=label, unit="cell", disable=not progress, smoothing=0.05,
               dynamic_ncols=True, file=sys.stderr)
    try:
        for job, value in parallel(function, list(missing.values()), processes):
            cells.add(job, value)
            bar.update()
    finally:
        bar.close()
    return [cells[job] for job in jobs]


def parallel(function: Callable[[dict], object], jobs: Sequence[dict], processes: int = 1, tick: Callable[[], None] | None = None):
    """Yield (job, function(job)) as they are finished; `tick` is called about every second meanwhile."""
    if processes < 1:
        raise ValueError(f"the number of processes must be at least 1, not {processes}")
    if tick is None and (processes == 1 or len(jobs) < 2):
        for job in jobs:
            yield job, _on_one_thread(function, job)
        return
    pool = ProcessPoolExecutor(max(1, min(processes, len(jobs))), mp_context=get_context("spawn"))
    try:
        running = {pool.submit(_on_one_thread, function, job): job for job in jobs}
        while running:
            done, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            failed = [future for future in done if future.exception() is not None]
            for future in done:
                if future not in failed:
                    yield running[future], future.result()
            for future in failed:
                raise future.exception()
            for future in done:
                del running[future]
            if tick:
                tick()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _on_one_thread(function: Callable[[dict], object], job: dict):
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    started = time.process_time()  # of the processor: it does not matter what else runs
    try:
        value = function(job)
    finally:
        torch.set_num_threads(threads)
    return value | {"seconds": round(time.process_time() - started, 2)} if isinstance(value, dict) else value


def _key(job: dict) -> str:
    return json.dumps(job, sort_keys=True, allow_nan=False)

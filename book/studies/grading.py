"""How long the grader works on one complete submission of each assignment: python book/studies/grading.py"""

import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from course.master import masters  # noqa: E402
from minigpt import results  # noqa: E402

MANY = 10
# A student's process outlives the one that started it, by a moment: it comes to this one, which then knows what it has used.
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER; Linux alone


def spent(submissions: int, master) -> float:
    """Processor seconds of grading so many copies of the reference solution, those of all processes together."""
    with tempfile.TemporaryDirectory() as folder:
        for n in range(submissions):
            (Path(folder) / "in").mkdir(exist_ok=True)
            (Path(folder) / "in" / f"student-{n}.ipynb").write_text(json.dumps(master.solved()), encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "course", "grade", Path(folder) / "in", "--out", Path(folder) / "out"]
        subprocess.run([*command, "--seed", "measured here"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0):
                pass
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    # The start of a batch (imports, the reference's own results) is paid once: it is taken off.
    seconds = {master.name: round((spent(MANY + 1, master) - spent(1, master)) / MANY, 2) for master in masters()}
    results.save("course-grading", {"seconds": seconds}, "python book/studies/grading.py",
                 protocol=f"processor seconds for one more complete submission, from batches of {MANY + 1} and of 1",
                 summary="seconds for grading a submission")
    print(seconds)

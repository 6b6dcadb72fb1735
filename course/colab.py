"""Every hand-out run untouched, as Colab runs it: a fresh environment, no repository beside it, the package by the first cell.

    python -m course colab                           with this Python
    python -m course colab --python python3.13       with another
    python -m course colab --keep FOLDER             in an environment that stays and is used again

The environment gets what Colab has of its own accord, PyTorch included, and a stand-in for the module `google.colab`, by which the
first cell knows where it is. The package then comes from the repository's last commit, by git, as it comes from its public address.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dev
from course.master import Master, masters

COLABS = ("torch", "numpy", "matplotlib", "scipy", "scikit-learn", "tqdm", "ipykernel", "nbclient")
RUN = """\
import sys
from pathlib import Path
import nbformat
from nbclient import NotebookClient
path = Path(sys.argv[1])
book = nbformat.read(path, as_version=4)
folder = {"metadata": {"path": str(path.parent)}}
NotebookClient(book, timeout=1200, kernel_name="python3", allow_errors=True, resources=folder).execute()
nbformat.write(book, path)
"""
VERSIONS = "import sys, torch; print(sys.version.split()[0], torch.__version__)"


def environment(folder: Path, python: str) -> Path:
    """A fresh environment as Colab's is before a notebook has said anything; its Python. One that is there is used as it is."""
    made = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not made.is_file():
        subprocess.run([python, "-m", "venv", folder], check=True)
        torch = next(line for line in (dev.ROOT / "requirements.txt").read_text().splitlines() if line.startswith("torch=="))
        subprocess.run([made, "-m", "pip", "install", "--quiet", torch, *COLABS[1:]], check=True)
    packages = Path(subprocess.run([made, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                                   capture_output=True, text=True).stdout.strip())
    (packages / "google" / "colab").mkdir(parents=True, exist_ok=True)
    (packages / "google" / "colab" / "__init__.py").write_text("")
    (packages / "colab.pth").write_text("import google.colab\n")  # there before the first cell, as on Colab
    subprocess.run([made, "-m", "pip", "uninstall", "--quiet", "--yes", "minigpt"], check=True)
    return made


def wrong(notebook: dict, master: Master) -> list[str]:
    """What an executed, untouched hand-out should not say: exceptions, and checks that say anything but "not attempted yet"."""
    found, said = [], []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        outputs = cell["outputs"]
        found += [f"{out['ename']}: {out['evalue']}" for out in outputs if out["output_type"] == "error"]
        if "check" in cell["metadata"].get("tags", []):
            said += "".join("".join(out.get("text", "")) for out in outputs).splitlines()
    expected = [f"Problem {problem.id}: not attempted yet" for problem in master.coded]
    if len(said) != len(expected):
        found.append(f"{len(said)} checks spoke, and there are {len(expected)}")
    return found + [f"a check said {line!r}, not {right!r}" for line, right in zip(said, expected, strict=False) if line != right]


def run(folder: Path, python: str, tell=print) -> int:
    """Run every hand-out; returns how many went wrong."""
    made = environment(folder / "environment", python)
    away, failed = folder / "away", 0
    away.mkdir(parents=True, exist_ok=True)
    (away / "run.py").write_text(RUN, encoding="utf-8")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MINIGPT", "PYTHON", "VIRTUAL_ENV"))}
    here = dev.ROOT.as_uri().replace("file:///", "git+file://localhost/", 1)  # pip of Python 3.12 wants a host
    clean |= {"PATH": os.pathsep.join([str(made.parent), os.environ.get("PATH", "")])}

    def versions() -> str:
        return subprocess.run([made, "-c", VERSIONS], capture_output=True, text=True, check=True, cwd=away).stdout.strip()

    before = versions()
    tell(f"Python and PyTorch: {before}")
    for master in masters():
        path, start = away / f"{master.name}.ipynb", time.perf_counter()
        text = json.dumps(master.student())
        path.write_text(re.sub(r"git\+https?://[^\"\\ ]+", here, text), encoding="utf-8")
        subprocess.run([made, "run.py", path.name], cwd=away, env=clean, check=True)
        troubles = wrong(json.loads(path.read_text(encoding="utf-8")), master)
        failed += bool(troubles)
        tell(f"{master.name}: {'; '.join(troubles) or 'runs, nothing attempted'} ({time.perf_counter() - start:.0f} s)")
    if versions() != before:
        tell(f"the package replaced Colab's own: {before} became {versions()}")
        failed += 1
    return failed


def main(python: str, keep: Path | None) -> None:
    """The command: exits with 1 if a hand-out went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        if failed := run((keep or Path(folder)).resolve(), python or sys.executable):
            sys.exit(f"{failed} went wrong")

"""python -m course make | site | mirror | colab | grade: see the package's first lines."""

import argparse
import sys
from pathlib import Path

import dev


def make(options) -> None:
    from course import guide, master

    changed = master.write(options.out) + guide.write()
    print("changed:", ", ".join(path.name for path in changed) or "nothing")


def site(options) -> None:
    from course import edition

    try:
        print(f"the students' site is at {(edition.build(options.out.resolve()) / 'index.html').as_uri()}")
    except (ValueError, OSError) as error:
        sys.exit(f"course site: {error}")


def mirror(options) -> None:
    from course import mirror

    try:
        if options.folder is None:
            for name, parts in mirror.sets().items():
                print(f"{name:18} {', '.join(sorted({part.repo_id for part in parts}))}")
            return
        if options.check:
            good, troubles = mirror.check(options.folder)
            print(f"{good} files are as the manifest says", *troubles, sep="\n")
            sys.exit(1 if troubles else 0)
        source = mirror.Folder(options.source) if options.source else mirror.Hub()
        mirror.make(options.folder, options.sets, source, dry=options.dry_run)
        if not options.dry_run:
            print(f"set MINIGPT_DATA={options.folder.resolve()} where the book runs")
    except (ValueError, OSError) as error:
        sys.exit(f"course mirror: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from here")


def colab(options) -> None:
    from course import colab

    colab.main(options.python, options.keep)


def grade(options) -> None:
    try:
        from course import batch
    except ImportError as error:  # Windows has no module `resource`
        sys.exit(f"grading needs Linux or macOS, on Windows inside WSL ({error})")
    try:
        seed = options.seed or options.seed_file.read_text(encoding="utf-8").strip()
        limits = batch.Limits(call=options.call_seconds, total=options.total_seconds, memory=options.memory_mb)
        batch.grade(options.folder, options.out, seed, options.jobs, options.assignment, limits,
                    tell=lambda line: print(line, flush=True))
    except (ValueError, OSError) as error:
        sys.exit(f"course grade: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from here")
    print(f"scores: {options.out / 'scores.csv'}; feedback, Gradescope's files and the written answers beside it")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m course", description="Assignments for a class: make them, grade them.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("make", help="hand-outs, the tables of the chapter for instructors, solutions below --out")
    verb.add_argument("--out", type=Path, default=dev.ROOT / "_build" / "course")
    verb.set_defaults(call=make)
    verb = verbs.add_parser("site", help="the students' edition of the site, without any solution, as --out/site")
    verb.add_argument("--out", type=Path, default=dev.ROOT / "_build" / "course")
    verb.set_defaults(call=site)
    verb = verbs.add_parser("mirror", help="data and weights in one folder, for a class without the hub; alone: what there is")
    verb.add_argument("folder", type=Path, nargs="?")
    verb.add_argument("sets", nargs="*", help="weights and tasks by the names that the book's commands have")
    verb.add_argument("--from", type=Path, dest="source", metavar="FOLDER", help="another mirror instead of the hub")
    verb.add_argument("--dry-run", action="store_true", help="sizes alone")
    verb.add_argument("--check", action="store_true", help="read every file again and compare digests")
    verb.set_defaults(call=mirror)
    verb = verbs.add_parser("colab", help="run every hand-out as Colab does, in a fresh environment (minutes)")
    verb.add_argument("--python", help="another Python, such as python3.13")
    verb.add_argument("--keep", type=Path, metavar="FOLDER", help="where the environment stays, to be used again")
    verb.set_defaults(call=colab)
    verb = verbs.add_parser("grade", help="mark a folder of submissions; the same command again goes on where a stopped one stood")
    verb.add_argument("folder", type=Path)
    verb.add_argument("--out", type=Path, required=True, help="where results, scores.csv, feedback/ and gradescope/ go")
    secret = verb.add_mutually_exclusive_group(required=True)
    secret.add_argument("--seed", help="the secret from which the hidden tests are drawn (`ps` shows it to others on the machine)")
    secret.add_argument("--seed-file", type=Path, help="a file with the secret")
    verb.add_argument("--jobs", type=int, default=2, help="submissions at a time")
    verb.add_argument("--assignment", help="its name or number; otherwise what most submissions say they are")
    verb.add_argument("--call-seconds", type=float, default=10, help="for one call of a student's function")
    verb.add_argument("--total-seconds", type=float, default=180, help="for one submission")
    verb.add_argument("--memory-mb", type=int, default=2048, help="for one student's process")
    verb.set_defaults(call=grade)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()

"""What comes out of a batch: a table, a page for each student, Gradescope's results.json, the written answers."""

import csv
import html
import io
import json
import os
from pathlib import Path

from course.master import Master

STYLE = """body{font:17px/1.5 Georgia,serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c;background:#fff}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #ccc;vertical-align:top}
td.n,th.n{text-align:right;white-space:nowrap}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
.said{background:#f4f1ea;padding:.5rem .8rem;border-left:4px solid #8a6d1f}.full{border-color:#2e6b3a}pre{white-space:pre-wrap}"""
PARTS = "<tr><th>What was tested</th><th>Result</th><th class=n>Points</th></tr>"


def store(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with open(part, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def plain(text: str) -> str:
    """A cell of the table that no spreadsheet takes for a formula."""
    text = str(text)
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def table(results: list[dict], master: Master) -> str:
    """One line per student: score, points of each problem, what needs a look."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    numbers = [p.id for p in master.coded]
    writer.writerow(["student", "file", "assignment", "score", "out_of", *numbers, "notes"])
    for r in results:
        notes = "; ".join([*r["notes"], *r["trouble"]])
        writer.writerow([plain(r["student"]), plain(r["file"]), master.name, r["score"], r["out_of"],
                         *(r["problems"][number]["points"] for number in numbers), plain(notes)])
    return out.getvalue()


def answers(results: list[dict], master: Master) -> str:
    """The written answers, for the person who marks them: the column of points is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["student", "question", "out_of", "points", "answer"])
    for r in results:
        for number, written in r["written"].items():
            writer.writerow([plain(r["student"]), number, written["out_of"], "", plain(written["answer"])])
    return out.getvalue()


def page(result: dict) -> str:
    """The feedback page of one student; every string in it is escaped."""
    e = html.escape
    rows, sections = [], []
    for number, p in result["problems"].items():
        rows.append(f"<tr><td>{number}</td><td>{e(p['title'])}</td><td class=n>{p['points']} of {p['out_of']}</td></tr>")
        parts = "".join(f"<tr><td>{e(part['title'])}</td><td>{e(part['why'] or 'right')}</td>"
                        f"<td class=n>{part['points']} of {part['out_of']}</td></tr>" for part in p["parts"])
        full = " full" if p["points"] == p["out_of"] else ""
        sections.append(f"<h2>{number} · {e(p['title'])}</h2><p class='said{full}'>{e(p['said'])}</p>"
                        + (f"<table>{PARTS}{parts}</table>" if parts else ""))
    for number, w in result["written"].items():
        rows.append(f"<tr><td>{number}</td><td>{e(w['title'])}</td><td class=n>read by a person, {w['out_of']}</td></tr>")
    trouble = "".join(f"<li>{e(line)}</li>" for line in result["trouble"])
    trouble = f"<h2>What went wrong on the way</h2><ul>{trouble}</ul>" if trouble else ""
    title = f"{e(result['assignment'])}: {e(result['student'])}"
    return (f"<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
            f"<p>{result['score']} of {result['out_of']} points for the code.</p>"
            f"<table><tr><th></th><th>Problem</th><th class=n>Points</th></tr>{''.join(rows)}</table>"
            f"{trouble}{''.join(sections)}</html>\n")


def gradescope(result: dict) -> dict:
    """The same as Gradescope's autograder reads it."""
    def line(part: dict) -> str:
        return f"{part['title']}: {part['why'] or 'right'}"

    tests = [{"number": number, "name": f"{number} {p['title']}", "score": p["points"], "max_score": p["out_of"],
              "visibility": "visible", "output": "\n".join([p["said"], *map(line, p["parts"])])}
             for number, p in result["problems"].items()]
    return {"score": result["score"], "output": "\n".join(result["trouble"]), "output_format": "text",
            "stdout_visibility": "hidden", "tests": tests}


def write(out: Path, results: list[dict], master: Master) -> None:
    """All reports below `out`: scores.csv, written.csv, feedback/, gradescope/."""
    store(out / "scores.csv", table(results, master))
    store(out / "written.csv", answers(results, master))
    for result in results:
        store(out / "feedback" / f"{result['student']}.html", page(result))
        text = json.dumps(gradescope(result), indent=1, ensure_ascii=False) + "\n"
        store(out / "gradescope" / result["student"] / "results.json", text)

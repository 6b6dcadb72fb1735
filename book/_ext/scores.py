"""The scoreboard's HTML, from the records in ``book/results``."""

from html import escape

HEADLINE = "05-words"  # the shipped model and the best n-gram on the same held-out stories
HEADLINE_STORIES = 600  # how many these are, the first of the split "test"


def table(columns: list[str], rows: list[list[str]], kind: str = "") -> str:
    """A table whose cells are HTML already; the first of each row is its heading. Each cell knows its column's name, which a
    table of the kind "stack" shows on a phone, where its rows stand one cell below the other."""
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "".join(f'<tr><th scope="row">{row[0]}</th>' + "".join(
        f'<td data-column="{name}">{cell}</td>' for name, cell in zip(columns[1:], row[1:], strict=True)) + "</tr>" for row in rows)
    return f"<table{kind and f' class={kind}'}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def paper_section(name: str, links: dict[int, str]) -> str:
    """Every table and figure of one paper: what it prints, and ours or "not yet measured"."""
    from minigpt import paper, results

    rows = []
    for entry_name, (chapter, cells) in results.SCOREBOARD.items():
        entry = paper.get(entry_name)
        if entry.paper != name:
            continue
        printed = {}
        for row, column in cells:
            value = escape(results.show(entry.value(row, column)))
            printed.setdefault(escape(str(row)), []).append(f"{escape(str(column))} <b>{value}</b>")
        found = results.measured(entry_name)
        # What prints no numbers is rebuilt in its chapter and checked there.
        missing = f'<span class="not-yet">{results.NOT_YET if cells or found else "in the chapter"}</span>'
        ours = [_ours(found.pop(label)) if label in found else missing for label in ("laptop", "paper")]
        others = "".join(f"<div><b>{escape(label)}</b> {_ours(record)}</div>" for label, record in found.items())
        number = f'<a href="{links[chapter]}">{chapter:02d}</a>' if chapter in links else f"{chapter:02d}"
        title = f'{escape(entry.where)} <span class="what">{escape(entry.caption)}</span>'
        numbers = "<br>".join(f"{row.rstrip(':')}: {', '.join(values)}" for row, values in printed.items())
        rows.append([title, number, numbers or "no numbers", ours[0] + others, ours[1]])
    return table(["Where", "Chapter", "The paper", "Ours, laptop scale and other models", "Ours, paper scale"], rows, "stack")


def _ours(record) -> str:
    """A record's summary, and folded behind it how it was made."""
    return (f'<a href="#record-{escape(record.name)}">{escape(summary(record))}</a><details class="how"><summary>how</summary>'
            f"<dl>{_facts(record)}</dl></details>")


def _facts(record) -> str:
    """The particulars of a record as a definition list's items."""
    about = {"Command": f"<code>{escape(record.command)}</code>" if record.command else "",
             "Protocol": escape(record.protocol), "Seeds": escape(", ".join(map(str, record.seeds))),
             "Interval": "" if record.interval in (None, "") else plain(record.interval),
             "Device": escape(", ".join(f"{key} {value}" for key, value in record.device.items())),
             "Versions": escape(", ".join(f"{key} {value}" for key, value in record.versions.items())),
             "Date": escape(record.date),
             "Stale": escape(f"{', '.join(record.changed)} changed since") if record.stale else ""}
    return "".join(f"<dt>{key}</dt><dd>{value}</dd>" for key, value in about.items() if value)


def summary(record) -> str:
    from minigpt import results

    first = ", ".join(f"{key} {results.show(value)}" for key, value in list(record.values.items())[:3]
                      if not isinstance(value, (dict, list)))
    return (record.summary or first or "see the record") + (" (stale)" if record.stale else "")


def plain(value) -> str:
    """A record's value as HTML: curves in a few words, tables line by line."""
    from minigpt import results

    if isinstance(value, dict):
        return ", ".join(f"{escape(str(key))} {plain(part)}" for key, part in value.items())
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return "<br>".join(map(plain, value))
    if isinstance(value, list) and len(value) > 3 and all(isinstance(part, list) for part in value):
        first, last = (", ".join(map(results.show, value[end])) for end in (0, -1))
        return f"{len(value)} points, from ({escape(first)}) to ({escape(last)})"
    return escape(results.show(value))


def one_record(record) -> str:
    """A folded record: the summary, then everything that it carries."""
    rows = [[escape(str(key)), plain(value)] for key, value in record.values.items()]
    return (f'<details class="record" id="record-{escape(record.name)}"><summary><code>{escape(record.name)}</code> '
            f"{escape(summary(record))}</summary><dl>{_facts(record)}</dl>{table(['What', 'Value'], rows)}</details>")


def all_records() -> str:
    from minigpt import results

    found = [one_record(results.load(name)) for name in results.names()]
    return "".join(found) or f'<p class="not-yet">{results.NOT_YET.capitalize()}.</p>'


def headline() -> str:
    """Bars on the landing page: what a byte of an unseen story costs the n-gram, the shipped model and the source."""
    from minigpt import results

    if HEADLINE not in results.names():
        return ('<p class="not-yet">How well it predicts, beside the best n-gram and the entropy of the stories '
                f"themselves: {results.NOT_YET}.</p>")
    record = results.load(HEADLINE)
    bars = {"The best n-gram": record.values["test"]["n-gram"], "This model": record.values["test"]["GPT"],
            "Whoever knew how the stories are made": source_bits()}
    top = max(bars.values())
    rows = "".join(f'<div class="headline-row"><span>{escape(label)}</span><span class="headline-bar" '
                   f'style="--p: {value / top:.3f}"></span><span class="headline-number">{value:.2f}</span></div>'
                   for label, value in bars.items())
    stale = " (stale: the code has changed since)" if record.stale else ""
    return (f'<figure class="headline"><figcaption>Bits that a byte of an unseen story costs, where blind guessing '
            f'costs 8{stale}. <a href="scoreboard.html#record-{HEADLINE}">How it was measured</a></figcaption>'
            f"{rows}</figure>")


def source_bits() -> float:
    """Bits per byte of the same stories under the generator that wrote them: no model can be expected to do better."""
    from minigpt import world

    pairs = [(world.story_bits(i, split="test"), len(world.story(i, split="test").encode()))
             for i in range(HEADLINE_STORIES)]
    return sum(bits for bits, _ in pairs) / sum(size for _, size in pairs)


def chapter_times() -> str:
    """How long each chapter computes, from the record of book/studies/times.py."""
    from minigpt import results

    if "chapter-times" not in results.names():
        return f'<p class="not-yet">{results.NOT_YET.capitalize()}.</p>'
    record = results.load("chapter-times")
    columns = list(next(iter(record.values.values())))
    rows = [[escape(name), *(f"{times[column]:.0f} s" for column in columns), results.NOT_YET]
            for name, times in record.values.items()]
    return table(["Chapter", *map(escape, columns), "Colab"], rows)

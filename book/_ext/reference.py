"""The package reference, read from the source without importing it: signatures and docstrings as they stand."""

import ast
import re
import textwrap
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

CODE = re.compile(r"``([^`]+)``|`([^`]+)`")
LEAD = re.compile(r"^\*\*([^*]+)\*\*")  # the first words of a paragraph


def prose(text: str) -> str:
    """A docstring as HTML: paragraphs, `code`, **first words**, and indented blocks kept as they are."""
    out = []
    for block in re.split(r"\n\s*\n", escape(text, quote=False)):
        if re.search(r"^ {2,}\S", block, re.MULTILINE):
            out.append(f'<pre class="doc-block" tabindex="0">{textwrap.dedent(block).rstrip()}</pre>')
        elif block.strip():
            out.append("<p>" + CODE.sub(lambda m: f"<code>{m[1] or m[2]}</code>", LEAD.sub(r"<b>\1</b>", block.strip())) + "</p>")
    return "".join(out)


def signature(node: ast.FunctionDef) -> str:
    arguments = ast.unparse(node.args)
    arguments = re.sub(r"^(self|cls)(, )?", "", arguments)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({arguments}){returns}"


def called(method: ast.FunctionDef) -> str:
    """How a method is written in use: a property has no parentheses."""
    kinds = [ast.unparse(decorator) for decorator in method.decorator_list]
    return "" if "property" in kinds else signature(method)


def fields(node: ast.ClassDef) -> str:
    """A dataclass's fields as its signature; "" for other classes."""
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return ""
    named = [item for item in node.body if isinstance(item, ast.AnnAssign) and "field(" not in ast.unparse(item)]
    return f"({', '.join(ast.unparse(item).replace(' = ', '=') for item in named)})"


def entry(kind: str, name: str, anchor: str, rest: str, doc: str | None) -> str:
    body = prose(doc) if doc else ""
    label = f'<span class="doc-kind">{kind}</span> ' if kind else ""
    link = f'<a class="doc-name" href="#{anchor}">{escape(name)}</a>'
    head = f'<p class="doc-signature">{label}{link}<code>{escape(rest)}</code></p>'
    return f'<div class="doc-entry" id="{anchor}">{head}{body}</div>'


def members(tree: ast.Module, module: str) -> list[str]:
    """The documented public functions and classes of one module, with their documented public methods."""
    out = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and ast.get_docstring(node):
            out.append(entry("", node.name, f"minigpt.{module}.{node.name}", signature(node), ast.get_docstring(node)))
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        made = next((m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None)
        out.append(entry("class", node.name, f"minigpt.{module}.{node.name}", signature(made) if made else fields(node),
                         ast.get_docstring(node)))
        for method in node.body:
            public = isinstance(method, ast.FunctionDef) and not method.name.startswith("_")
            if public and ast.get_docstring(method):
                name = f"{node.name}.{method.name}"
                out.append(entry("", name, f"minigpt.{module}.{name}", called(method), ast.get_docstring(method)))
    return out


class PackageReference(Directive):
    """A section for each module named in the content, one name a line; modules that do not exist yet are left out."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        env = self.state.document.settings.env
        out = []
        for module in (line.strip() for line in self.content if line.strip()):
            path = Path(env.srcdir) / "minigpt" / f"{module}.py"
            if not path.is_file():
                continue
            env.note_dependency(str(path))
            tree = ast.parse(path.read_text(encoding="utf-8"))
            section = nodes.section(ids=[f"module-{module}"], names=[f"minigpt.{module}"])
            section += nodes.title("", "", nodes.literal("", f"minigpt.{module}"))
            body = prose(ast.get_docstring(tree) or "") + "".join(members(tree, module))
            section += nodes.raw("", body, format="html")
            out.append(section)
        return out


def setup(app):
    app.add_directive("package-reference", PackageReference)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

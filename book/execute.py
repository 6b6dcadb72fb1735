"""Run notebooks from top to bottom and store their outputs, without timings or widget state: python book/execute.py FILE ..."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOT_RUN = "nbval-skip"  # live widgets: committed unrun


def execute(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False, coalesce_streams=True,
                            skip_cells_with_tag=NOT_RUN, resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    notebook.metadata.pop("widgets", None)
    notebook.metadata.pop("language_info", None)
    for cell in notebook.cells:
        if cell.cell_type == "code" and NOT_RUN in cell.metadata.get("tags", []):
            cell.outputs, cell.execution_count = [], None
    path.write_text(nbformat.writes(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        execute(Path(name).resolve())

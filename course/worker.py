"""A student's process: it runs the cells of her notebook and calls her functions with what the grader sends.

Nothing in this process is worth stealing or changing: it knows no expected result, no test but the present call, and no mark. The
grader reads one line at a time from it and believes nothing but that these are the values that the functions gave back.
"""

import contextlib
import io
import json
import os
import sys
import traceback

from course import wire

MAX_REPLY = 8 << 20
CLOSED = "this is closed while grading: the assignment asks you to write it yourself"


class Line:
    """The connection with the grader: one JSON object a line."""

    def __init__(self, sock):
        self._file = sock.makefile("rwb")

    def send(self, **message) -> None:
        """Send one message; a value too large to send becomes an error of the function that returned it."""
        text = json.dumps(message).encode()
        if len(text) > MAX_REPLY:
            text = json.dumps({"error": f"a result of {len(text) >> 20} MB, more than the grader accepts", "kinds": []}).encode()
        self._file.write(text + b"\n")
        self._file.flush()

    def receive(self) -> dict:
        """The grader's next message; the process ends where there is none."""
        text = self._file.readline()
        if not text:
            os._exit(0)
        return json.loads(text)


class Shell:
    """Stands in for get_ipython() in magics and shell commands: nothing of that kind runs while grading."""

    def __getattr__(self, name):
        return lambda *arguments, **settings: None


def say(error: BaseException) -> str:
    """One line about an error, with the student's line in it where there is one."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith("<cell")]
    where = f" (line {lines[-1]} of the cell)" if lines else ""
    return f"{type(error).__name__}: {str(error)[:300]}{where}"


def load(space: dict, cells: list[str], skip: list[int], line: Line) -> list[str]:
    """Run the cells from top to bottom; a cell that fails costs what it defines and nothing else. Returns what went wrong."""
    from IPython.core.inputtransformer2 import TransformerManager

    trouble = []
    for number, source in enumerate(cells, 1):
        if number in skip:
            continue
        line.send(cell=number)
        try:
            code = TransformerManager().transform_cell(source)
            exec(compile(code, f"<cell {number}>", "exec"), space)
        except BaseException as error:  # exit() and KeyboardInterrupt are no reason to stop either
            trouble.append(f"code cell {number}: {say(error)}")
    return trouble


def close(modules: list[str]) -> None:
    """Make the modules that would do the assignment unavailable: what is loaded of them, and importing them."""
    names = {name for module in modules for name in sys.modules if name == module or name.startswith(module + ".")} | set(modules)

    class Closed:
        def __init__(self, *_, **__):
            raise ImportError(CLOSED)

        def __getattr__(self, name):
            raise ImportError(CLOSED)

    class Refuse:
        @staticmethod
        def find_spec(name, *_):
            if name in names:
                raise ImportError(CLOSED)

    sys.meta_path.insert(0, Refuse)
    for name in list(names):
        module, _, function = name.rpartition(".")
        if callable(getattr(sys.modules.get(module), function, None)):
            setattr(sys.modules[module], function, lambda *_, **__: Closed())
        else:
            sys.modules.pop(name, None)
    for module in [m for n, m in sys.modules.items() if m is not None and n.split(".")[0] == "minigpt"]:
        for key, value in list(vars(module).items()):
            if getattr(value, "__module__", None) in names or getattr(value, "__name__", None) in names:
                setattr(module, key, Closed if isinstance(value, type) else lambda *_, **__: Closed())


def lend(name: str, line: Line):
    """A function that the grader answers for: a later problem is marked as if the earlier ones were right."""
    def lent(*arguments, **named):
        line.send(ask=name, value=wire.pack([list(arguments), named]))
        reply = line.receive()
        if "error" in reply:
            raise ValueError(reply["error"])
        return wire.unpack(reply["value"])

    lent.__name__ = name
    return lent


def answer(space: dict, request: dict, line: Line) -> dict:
    """Call one function, or run one check, and say what came of it."""
    own = {name: space.get(name) for name in request["uses"]}
    space |= {name: lend(name, line) for name in request["uses"]}
    try:
        if "check" in request:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(request["check"], "<check>", "exec"), dict(space))
            return {"said": out.getvalue()[-2000:]}
        if request["call"] not in space:
            return {"error": f"{request['call']} is not defined", "kinds": ["Missing"]}
        return {"value": wire.pack(space[request["call"]](*wire.unpack(request["arguments"])))}
    except BaseException as error:
        return {"error": say(error), "kinds": [kind.__name__ for kind in type(error).__mro__]}
    finally:
        for name, value in own.items():
            space.pop(name, None) if value is None else space.__setitem__(name, value)


def serve(sock, closed: list[str]) -> None:
    """The process's life: load a notebook, then answer calls until the grader hangs up."""
    line = Line(sock)
    close(closed)
    space = {"__name__": "__main__", "get_ipython": Shell, "display": lambda *_, **__: None, "exit": sys.exit, "quit": sys.exit}
    first = line.receive()
    line.send(ready=True, trouble=load(space, first["cells"], first["skip"], line))
    while True:
        request = line.receive()
        line.send(**answer(space, request, line))

"""Values as text between the grader and a student's process.

Not pickle: reading a pickle runs code, and one of the two ends is not to be trusted. Here a value is JSON; what JSON lacks is an
object with one key that says what it is. Reading gives plain Python values and tensors, or ValueError.
"""

import base64
import math
import operator

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


def pack(value, depth: int = 0):
    """A value as JSON-able data. Raises TypeError on what has no such form (functions, modules, generators)."""
    if depth > 20:
        raise TypeError("a value nested more than 20 deep")
    if value is None or isinstance(value, bool | str):
        return value if not isinstance(value, str) else str(value)
    if isinstance(value, int):
        return {"int": hex(value)}
    if isinstance(value, float):
        return {"float": float(value).hex()}
    if isinstance(value, bytes | bytearray):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, dict):
        return {"dict": [[pack(k, depth + 1), pack(v, depth + 1)] for k, v in value.items()]}
    for name, kind in (("list", list), ("tuple", tuple), ("set", set | frozenset)):
        if isinstance(value, kind):
            return {name: [pack(item, depth + 1) for item in value]}
    if hasattr(value, "detach") and hasattr(value, "dtype"):
        tensor = value.detach().cpu().contiguous()
        raw = tensor.numpy().tobytes()
        return {"tensor": [str(tensor.dtype).removeprefix("torch."), list(tensor.shape), base64.b64encode(raw).decode()]}
    if hasattr(value, "item") and getattr(value, "shape", None) == ():  # numpy's numbers
        return pack(value.item(), depth + 1)
    try:
        return {"int": hex(operator.index(value))}
    except TypeError:
        raise TypeError(f"a value of type {type(value).__name__}") from None


def unpack(data):
    """The value of what `pack` wrote. Raises ValueError on anything else."""
    try:
        return _unpack(data)
    except (TypeError, KeyError, ValueError, AttributeError, RecursionError, OverflowError, RuntimeError) as error:
        raise ValueError(f"not a value: {type(error).__name__}") from None


def _unpack(data):
    if data is None or isinstance(data, bool | str):
        return data
    ((kind, inner),) = data.items()
    if kind == "int":
        if len(inner) > 10_000:
            raise ValueError("an endless number")
        return int(inner, 16)
    if kind == "float":
        return float.fromhex(inner)
    if kind == "bytes":
        return bytes.fromhex(inner)
    if kind == "dict":
        return {_unpack(k): _unpack(v) for k, v in inner}
    if kind in ("list", "tuple", "set"):
        return {"list": list, "tuple": tuple, "set": set}[kind](_unpack(item) for item in inner)
    if kind == "tensor":
        import torch

        dtype, shape, raw = inner
        if dtype not in DTYPES:
            raise ValueError("an unknown dtype")
        raw = bytearray(base64.b64decode(raw, validate=True))
        shape = [int(size) for size in shape]
        if len(shape) > 8 or (not raw and any(size > 4096 for size in shape)):
            raise ValueError("an endless shape")
        flat = torch.frombuffer(raw, dtype=getattr(torch, dtype)) if raw else torch.empty(0, dtype=getattr(torch, dtype))
        return flat.reshape(shape)
    raise ValueError(f"an unknown kind {kind!r}")


def same(expected, got) -> bool:
    """Do two values agree? Lists count as tuples, numbers and tensors agree within 1e-4; a boolean is no number."""
    if hasattr(expected, "dtype"):
        return _same_tensors(expected, got)
    if isinstance(expected, list | tuple):
        return isinstance(got, list | tuple) and len(got) == len(expected) and all(map(same, expected, got))
    if isinstance(expected, dict):
        return isinstance(got, dict) and expected.keys() == got.keys() and all(same(expected[key], got[key]) for key in expected)
    if isinstance(expected, float):
        number = isinstance(got, int | float) and not isinstance(got, bool)
        return number and math.isclose(expected, got, rel_tol=1e-4, abs_tol=1e-6)
    return isinstance(got, bool) == isinstance(expected, bool) and type(got) is type(expected) and got == expected


def _same_tensors(expected, got) -> bool:
    import torch

    if not isinstance(got, torch.Tensor) or got.shape != expected.shape:
        return False
    if (got.dtype == torch.bool) != (expected.dtype == torch.bool):
        return False
    return torch.allclose(expected.double(), got.double(), rtol=1e-4, atol=1e-4, equal_nan=False)

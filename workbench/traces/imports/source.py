"""From what the user has, a file, parsed JSON or a client's response object, to plain documents."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import TraceError


def documents(source: object) -> list[Mapping[str, Any]]:
    """All JSON objects of `source`, in order.

    Raises:
        TraceError: no such file, not JSON, cut off in the middle, empty, or of no kind that can be read.
    """
    if isinstance(source, str) and source.lstrip()[:1] in ("{", "["):
        raise TraceError("This text is JSON itself, and a path was expected: give json.loads(text).")
    value = _read(Path(source).expanduser()) if isinstance(source, str | Path) else plain(source)
    found = list(_objects(value))
    if not found:
        raise TraceError("There is nothing to read: the source holds no JSON object.")
    return found


def plain(value: Any) -> Any:  # noqa: ANN401  -- any object a client library returns
    """`value` as dicts, lists, strings and numbers; response objects are read through model_dump or their fields."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [plain(item) for item in value]
    if callable(getattr(value, "tolist", None)):  # numpy and torch
        return value.tolist()
    return {key: plain(item) for key, item in _fields(value).items()}


def _fields(value: Any) -> dict[str, Any]:  # noqa: ANN401
    if callable(getattr(value, "model_dump", None)):
        return dict(value.model_dump())
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    shown = {key: item for key, item in getattr(value, "__dict__", {}).items() if not key.startswith("_")}
    if shown and not isinstance(value, type):
        return shown
    raise TraceError(
        f"A {type(value).__name__} cannot be read as a trace. Give a path to a .json or .jsonl file, parsed JSON, or "
        "the response object of an OpenAI or vLLM client."
    )


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401
    if isinstance(value, Mapping):
        yield _unwrapped(value)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)
    else:
        raise TraceError(f"Expected JSON objects, found {type(value).__name__} {value!r:.60}.")


def _unwrapped(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The response inside a line of a batch result file, {"custom_id": …, "response": {"body": …}}."""
    response = document.get("response")
    body = response.get("body") if isinstance(response, Mapping) else None
    return body if isinstance(body, Mapping) else document


def _read(path: Path) -> Any:  # noqa: ANN401
    if path.is_dir():
        raise TraceError(f"{path} is a folder. wb.open_traces opens a folder of saved traces; give a file here.")
    if path.suffix == ".parquet":
        raise TraceError(f"{path} is a Parquet file: read it with wb.Trace.load.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TraceError(f"{path!s:.200}: there is no such file. Give the path of a .json or .jsonl file.") from None
    except UnicodeDecodeError as problem:
        raise TraceError(
            f"{path} is not UTF-8 text ({problem.reason} at byte {problem.start}), so it is no JSON."
        ) from problem
    except OSError as problem:
        raise TraceError(f"{path!s:.200} cannot be read: {problem.strerror or problem}.") from problem
    if not text.strip():
        raise TraceError(f"{path} is empty. Record it again.")
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        lines = text.split("\n")  # splitlines would also cut at U+2028, which JSON may hold
        # A second object after a whole one means an object a line; so does the name.
        if problem.msg == "Extra data" or (path.suffix == ".jsonl" and len(lines) > 1):
            return [_line(line, f"{path} line {n}") for n, line in enumerate(lines, start=1) if line.strip()]
        raise _broken(problem, text, str(path)) from problem


def _line(line: str, where: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(line)
    except json.JSONDecodeError as problem:
        raise _broken(problem, line, where) from problem


def _broken(problem: json.JSONDecodeError, text: str, where: str) -> TraceError:
    if text.lstrip()[:1] not in ("{", "["):
        seen = text.lstrip()[:40]
        hint = " Server-sent events: record with stream=false." if seen.startswith("data:") else ""
        return TraceError(f"{where} is not JSON: it begins with {seen!r}.{hint}")
    if problem.pos >= len(text.rstrip()) or problem.msg.startswith("Unterminated string"):
        return TraceError(f"{where} is truncated: the JSON ends in the middle of a value. Record or download it again.")
    return TraceError(f"{where} is not valid JSON: {problem.msg} at line {problem.lineno}, column {problem.colno}.")

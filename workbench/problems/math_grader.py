"""Answers compared as mathematics by math-verify, in a process that is ended when it takes too long.

math-verify limits its time with SIGALRM, which works in the main thread alone and not inside a long C call; and short
texts can keep it busy for ever (a power tower, sixty nested fractions). A child process has neither weakness, and it
works the same in a notebook, a thread and a Ray worker.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, Timer
from typing import Any

from workbench.errors import MissingPackageError, ProblemError
from workbench.problems.answer_text import marked, never_closed, same_spacing, shown
from workbench.problems.number_text import whole_number_text

SECONDS = 5.0
"""For one comparison."""
MAX_CHARACTERS = 2000
"""Marked answers longer than this are not compared; of an unmarked text this many last characters are read."""

_START_SECONDS = 120.0
_WORKER = Path(__file__).with_name("math_worker.py")


def grade_math(text: str, reference: str) -> tuple[bool, str | None, str]:
    r"""(correct, extracted, reason) of the answer text, the thinking already taken off.

    The last `\boxed{}` or `####` line is compared; without one, what math-verify itself finds in the text.

    Raises:
        MissingPackageError: math-verify is not installed.
    """
    inside = marked(text)
    if not inside:
        if inside is None and not never_closed(text):
            return _compared(text, reference, text[-MAX_CHARACTERS:], None)
        return False, None, "the box is empty" if inside == "" else "the box is never closed"
    if len(inside) > MAX_CHARACTERS:
        return False, inside, f"the answer is longer than {MAX_CHARACTERS:,} characters and was not compared"
    return _compared(inside, reference, f"\\boxed{{{inside}}}", inside)


def _compared(given: str, reference: str, sent: str, inside: str | None) -> tuple[bool, str | None, str]:
    if len(given) <= MAX_CHARACTERS and _plainly_equal(given, reference):
        return True, given, f"{shown(given)} equals {shown(reference)}"
    result = _process.ask(sent, f"\\boxed{{{reference}}}")
    if result is None:
        return False, inside, f"math-verify came to no verdict within {SECONDS:g} s"
    if result.get("unread") == "reference":
        return False, inside, f"math-verify cannot read the reference answer {shown(reference)!r}"
    if "equal" not in result:
        return False, inside, "no mathematics was found" if inside is None else f"{shown(inside)} cannot be read"
    extracted = inside or result["read"]
    says = "equals" if result["equal"] else "is not"
    return result["equal"], extracted, f"{shown(extracted or given)} {says} {shown(reference)}"


def _plainly_equal(given: str, reference: str) -> bool:
    if same_spacing(given) == same_spacing(reference):
        return True
    one, other = whole_number_text(given), whole_number_text(reference)
    return one is not None and other is not None and one.matches(other)


class _Process:
    """The child process, started at the first question and again after every one it did not answer in time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._child: subprocess.Popen[str] | None = None
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def ask(self, given: str, reference: str) -> dict[str, Any] | None:
        """The child's answer, or None when it had to be ended or ended itself."""
        with self._lock:
            child = self._running()
            answer = _exchange(child, json.dumps([given, reference]), SECONDS)
            if answer is None:
                self.close()
            return answer

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def _forget(self) -> None:
        """After a fork: the child belongs to the other process, and so may the lock."""
        child, self._child, self._lock = self._child, None, Lock()
        if child is not None and child.stdin is not None and child.stdout is not None:
            child.stdin.close()
            child.stdout.close()
            child.returncode = 0  # not ours to wait for

    def _running(self) -> subprocess.Popen[str]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self.close()
        if find_spec("math_verify") is None:
            raise MissingPackageError('grader="math" needs math-verify: pip install math-verify')
        self._child = _start()
        if _exchange(self._child, None, _START_SECONDS) is None:
            self.close()
            raise ProblemError(
                f"math-verify could not be started with {sys.executable}. Try `python -c 'import math_verify'` in a "
                'terminal, or take grader="numeric" or "exact".'
            )
        return self._child


def _start() -> subprocess.Popen[str]:
    # -P keeps the script's own folder off the path; what can be imported here can be imported there.
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(  # noqa: S603  -- our own interpreter and our own file
        [sys.executable, "-P", str(_WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": paths},
    )


def _exchange(child: subprocess.Popen[str], line: str | None, seconds: float) -> Any:  # noqa: ANN401  -- JSON
    """Write a line, read a line; None when the child ended before, by itself or by the clock."""
    if child.stdin is None or child.stdout is None:
        return None
    clock = Timer(seconds, child.kill)  # the blocked read below then comes to the end of the file
    clock.daemon = True
    clock.start()
    try:
        if line is not None:
            child.stdin.write(line + "\n")
            child.stdin.flush()
        answer = child.stdout.readline()
        return json.loads(answer) if answer.endswith("\n") else None
    except OSError:
        return None
    finally:
        clock.cancel()


_process = _Process()

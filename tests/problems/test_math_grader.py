"""The math grader: math-verify in its own process, off the main thread, against texts that never end."""

import os
import subprocess
import sys
import threading
import time

import pytest

from workbench.errors import MissingPackageError
from workbench.problems import grade, math_grader

FORKING = """
import os, sys
from workbench.problems import grade

def right():
    return grade(r"\\boxed{x + 1}", "1 + x", grader="math").correct

right()
child = os.fork()
if child == 0:
    print("child", right())
    sys.exit()
os.waitpid(child, 0)
print("parent", right())
"""


def judge(text, answer, **options):
    return grade(text, answer, grader="math", **options)


@pytest.mark.parametrize(
    ("text", "answer", "correct"),
    [
        (r"\boxed{\frac{1}{2}}", "0.5", True),
        (r"\boxed{0.5}", r"\frac{1}{2}", True),
        (r"\boxed{x + 1}", "1 + x", True),
        (r"\boxed{(x+1)^2}", "x^2 + 2x + 1", True),
        (r"\boxed{x - 1}", "1 + x", False),
        (r"\boxed{2\sqrt{2}}", r"\sqrt{8}", True),
        (r"\boxed{(1, 2]}", "(1,2]", True),
        (r"\boxed{(1, 2)}", "(1,2]", False),
        (r"\boxed{\{3, 1, 2\}}", r"\{1,2,3\}", True),
        (r"\boxed{\text{Evelyn}}", r"\text{Evelyn}", True),
        (r"\boxed{x = 5}", "5", True),
        ("<think>4</think>The answer is $\\frac{3}{4}$.", "0.75", True),
        ("The answer is 42.", "42", True),
        ("#### 1,234", "1234", True),
        (r"\boxed{3} or \boxed{4}", "3", False),
    ],
)
def test_verdicts(text, answer, correct):
    verdict = judge(text, answer)
    assert verdict.correct is correct
    assert verdict.extracted is not None
    assert ("equals" if correct else "is not") in verdict.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I do not know.", "no mathematics was found"),
        ("<think>$7$", "the thinking is unfinished"),
        (r"\boxed{}", "the box is empty"),
        (r"\boxed{7", "the box is never closed"),
        (r"\boxed{" * 20_000, "the box is never closed"),
        ("x" * 10**6, "no mathematics was found"),
        (r"\boxed{" + "7 + " * 1000 + "7}", "the answer is longer than 2,000 characters and was not compared"),
    ],
)
def test_why_there_is_no_answer(text, reason):
    verdict = judge(text, "7")
    assert (verdict.correct, verdict.reason) == (False, reason)


@pytest.mark.parametrize(
    "answer", [r"\boxed{1/0}", r"\boxed{\frac{0}{0}}", r"\boxed{\infty - \infty}", "$}{$", "\ud800"]
)
def test_no_mathematics_makes_it_fail(answer):
    assert not judge(answer, "7").correct


def test_texts_without_end_are_ended_and_the_next_is_judged(monkeypatch):
    monkeypatch.setattr(math_grader, "SECONDS", 1.5)
    assert judge(r"\boxed{y + x}", "x + y").correct
    nested = "$" + r"\frac{1}{" * 60 + "2" + "}" * 60 + "$"
    began = time.perf_counter()
    verdict = judge(nested, "7")
    assert time.perf_counter() - began < 10
    assert verdict.reason == "math-verify came to no verdict within 1.5 s"
    monkeypatch.setattr(math_grader, "SECONDS", 30)
    assert judge(r"\boxed{y + x}", "x + y").correct


def test_a_power_tower_cannot_fill_the_memory(monkeypatch):
    monkeypatch.setattr(math_grader, "SECONDS", 3)
    assert not judge(r"\boxed{9^{9^{9}}}", "7").correct


def test_threads_share_it():
    verdicts = {}

    def work(k):
        verdicts[k] = judge(rf"\boxed{{{k} + x}}", f"x + {k % 4}")

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {k: verdict.correct for k, verdict in verdicts.items()} == {k: k < 4 for k in range(8)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_starts_its_own(tmp_path):
    script = tmp_path / "fork.py"
    script.write_text(FORKING)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", script], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("child True\nparent True\n", "", 0)


def test_without_math_verify_the_install_line_is_named(monkeypatch):
    math_grader._process.close()
    monkeypatch.setitem(sys.modules, "math_verify", None)
    with pytest.raises(MissingPackageError, match="pip install math-verify"):
        judge(r"\boxed{x + 1}", "1 + x")
    monkeypatch.delitem(sys.modules, "math_verify")
    assert judge(r"\boxed{x + 1}", "1 + x").correct

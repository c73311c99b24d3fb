"""Problem sets and graders: read problems from anywhere, put them to a model, judge what it answers."""

from workbench.problems.grading import Verdict, grade
from workbench.problems.loading import load
from workbench.problems.problem_set import Problems

__all__ = ["Problems", "Verdict", "grade", "load"]

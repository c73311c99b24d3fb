"""Compilation without reference counts."""

from functools import partial

from numba import njit

lean = partial(njit, _nrt=False)
"""`numba.njit` for functions that make no arrays; one that does is an error when it is compiled.

numba counts the references to all arrays of a tuple in every function the tuple is passed to, by atomic additions that
its optimiser does not take out again (numba, issue 2345): 30 of them a call for `Atoms`, more than most functions take.
"""

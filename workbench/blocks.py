"""Logits as they come, arrays or tensors of any float type, as blocks of contiguous float32 rows."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from workbench.errors import LogitsError
from workbench.kernels.entropy import ALL_EXCLUDED, FINE, HAS_INFINITY, HAS_NAN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BLOCK_BYTES = 32 * 2**20
"""Float32 logits converted at a time; arrays that are float32 and contiguous already are not copied at all."""

_REASONS = {HAS_NAN: "NaN", HAS_INFINITY: "+inf", ALL_EXCLUDED: "nothing but -inf"}


def is_tensor(logits: object) -> bool:
    """Whether this is a torch tensor; torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(logits, torch.Tensor)


@dataclass(frozen=True)
class Blocks:
    """(T, V) logits; iterates over (first row, block of rows as float32)."""

    array: Any

    @property
    def shape(self) -> tuple[int, int]:
        """(T, V)."""
        rows, vocabulary = self.array.shape
        return int(rows), int(vocabulary)

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        rows, vocabulary = self.shape
        step = max(1, rows if _ready(self.array) else BLOCK_BYTES // (4 * vocabulary))
        for start in range(0, rows, step):
            yield start, as_block(self.array[start : start + step])


def blocks(logits: object) -> Blocks:
    """Check the shape and hand the rows out block by block.

    Raises:
        LogitsError: not one or two dimensions, no entry, or not numbers.
    """
    array = _numbers(logits)
    if array.ndim not in (1, 2):
        raise LogitsError(f"Logits must be (T, V), or (V,) for one token; these have the shape {tuple(array.shape)}.")
    array = array.reshape(1, -1) if array.ndim == 1 else array
    if array.shape[1] == 0:
        raise LogitsError("These logits have no entries: the vocabulary is empty.")
    return Blocks(array)


def as_block(rows: Any) -> NDArray[np.float32]:  # noqa: ANN401  -- an array or a tensor
    """Rows as contiguous float32 in memory; shared with what was given where that is so already."""
    if is_tensor(rows):
        rows = rows.float().cpu().numpy()
    with np.errstate(over="ignore"):  # beyond float32 is +inf, which the kernels report with its row
        return np.ascontiguousarray(rows, dtype=np.float32)


def raise_for_status(status: NDArray[np.uint8], first: int = 0) -> None:
    """Name the first row that defines no distribution.

    Raises:
        LogitsError: there is one.
    """
    bad = np.flatnonzero(status != FINE)
    if len(bad):
        _refuse(first + int(bad[0]), _REASONS[int(status[bad[0]])])


def _refuse(step: int, what: str) -> NoReturn:
    raise LogitsError(
        f"The logits at step {step} hold {what} and define no distribution. Check the model's dtype (float16 overflows "
        "where bfloat16 or float32 do not) and what was done to the logits before."
    )


def _numbers(logits: Any) -> Any:  # noqa: ANN401
    """The array or detached tensor that was given, or an array of what was."""
    if is_tensor(logits):
        if logits.is_complex() or "bool" in str(logits.dtype):
            raise LogitsError(f"Logits must be real numbers, not {logits.dtype}.")
        return logits.detach()
    try:
        array = np.asarray(logits)
    except ValueError as problem:  # rows of different lengths
        raise LogitsError(f"These logits are no (T, V) array: {problem}") from problem
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise LogitsError(f"Logits must be real numbers, not {array.dtype}.")
    return array


def _ready(array: Any) -> bool:  # noqa: ANN401
    if is_tensor(array):
        return array.device.type == "cpu" and array.is_contiguous() and str(array.dtype) == "torch.float32"
    return array.dtype == np.float32 and bool(array.flags.c_contiguous)

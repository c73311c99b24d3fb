"""exp for arguments that are never positive, written so that LLVM vectorises the loop around it.

A call into libm keeps a loop scalar. Here exp(x) = 2ⁿ · exp(r) with n the integer nearest to x / ln 2 and
|r| <= ln 2 / 2: a polynomial gives exp(r), and 2ⁿ is put together from its exponent bits by a bit cast.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from numba.core.typing.templates import Signature

# Below these 2ⁿ would be subnormal; what is left is flushed to zero.
LOWEST_EXP = np.float32(-87.0)
LOWEST_EXP64 = -708.0

_LOG2_E = np.float32(1.4426950408889634)
# ln 2 in two parts: n times the first is exact, so that r loses nothing (Cody and Waite).
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
# Minimax for (exp(r) - 1 - r) / r² on |r| <= ln 2 / 2, highest power first (Cephes, single/expf.c).
_C5 = np.float32(1.9875691500e-4)
_C4 = np.float32(1.3981999507e-3)
_C3 = np.float32(8.3334519073e-3)
_C2 = np.float32(4.1665795894e-2)
_C1 = np.float32(1.6666665459e-1)
_C0 = np.float32(5.0000001201e-1)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_BIAS = np.int32(127)
_MANTISSA = np.int32(23)

_LOG2_E64 = 1.4426950408889634
_LN2_HIGH64 = 6.93145751953125e-1
_LN2_LOW64 = 1.42860682030941723212e-6
# Taylor for the same quotient: twelve terms leave 1e-17 at |r| = ln 2 / 2.
_Q0, _Q1, _Q2, _Q3, _Q4, _Q5, _Q6, _Q7, _Q8, _Q9, _Q10 = (1.0 / math.factorial(power) for power in range(2, 13))


@intrinsic
def float_from_bits(_typing: object, _bits: object) -> tuple[Signature, object]:
    """The float32 whose IEEE 754 bits are this int32."""

    def bitcast(_context: object, builder: ir.IRBuilder, _signature: object, arguments: list[ir.Value]) -> ir.Value:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), bitcast


@intrinsic
def double_from_bits(_typing: object, _bits: object) -> tuple[Signature, object]:
    """The float64 whose IEEE 754 bits are this int64."""

    def bitcast(_context: object, builder: ir.IRBuilder, _signature: object, arguments: list[ir.Value]) -> ir.Value:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), bitcast


# Only fused multiply-adds are allowed: reordering would undo the two-part subtraction of n ln 2.
@njit(fastmath={"contract"})
def exp_in_range(x: np.float32) -> np.float32:
    """exp(x) for float32 x in [LOWEST_EXP, 0]; relative error below 2e-7. The caller clamps x."""
    n = np.int32(x * _LOG2_E - _HALF)  # truncation towards zero rounds to the nearest, as x <= 0
    whole = np.float32(n)
    r = x - whole * _LN2_HIGH
    r = r - whole * _LN2_LOW
    quotient = ((((_C5 * r + _C4) * r + _C3) * r + _C2) * r + _C1) * r + _C0
    return (quotient * (r * r) + (r + _ONE)) * float_from_bits(np.int32((n + _BIAS) << _MANTISSA))


@njit(fastmath={"contract"})
def exp_in_range64(x: float) -> float:
    """exp(x) for float64 x in [LOWEST_EXP64, 0]; relative error below 5e-16. The caller clamps x."""
    n = np.int32(x * _LOG2_E64 - 0.5)
    whole = np.float64(n)
    r = x - whole * _LN2_HIGH64
    r = r - whole * _LN2_LOW64
    quotient = ((((_Q10 * r + _Q9) * r + _Q8) * r + _Q7) * r + _Q6) * r + _Q5
    quotient = ((((quotient * r + _Q4) * r + _Q3) * r + _Q2) * r + _Q1) * r + _Q0
    return (quotient * (r * r) + (r + 1.0)) * double_from_bits((np.int64(n) + 1023) << 52)


@njit
def exp_nonpositive(x: np.float32) -> np.float32:
    """exp(x) for float32 x <= 0, -inf included; below LOWEST_EXP it is 0."""
    kept = x >= LOWEST_EXP
    value = exp_in_range(x if kept else LOWEST_EXP)
    return value if kept else np.float32(0.0)


@njit
def exp_nonpositive64(x: float) -> float:
    """exp(x) for float64 x <= 0, -inf included; below LOWEST_EXP64 it is 0."""
    kept = x >= LOWEST_EXP64
    value = exp_in_range64(x if kept else LOWEST_EXP64)
    return value if kept else 0.0

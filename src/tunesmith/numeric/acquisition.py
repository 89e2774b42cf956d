"""Acquisition functions: what a point is worth, given a prediction of it. Everything is minimised."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LOG_ROOT_TAU: Final = 0.5 * math.log(2.0 * math.pi)
_ROOT_HALF_PI: Final = math.sqrt(0.5 * math.pi)
#: Beyond these, h(z) = phi(z) + z Phi(z) is z, or phi(z)/z^2, to all digits that count.
_HIGH: Final = 30.0
_LOW: Final = -1e4


def _parts(z: Floats) -> tuple[Floats, Floats]:
    """q = Phi(z)/phi(z) and t = h(z)/phi(z) = 1 + z q, z clipped to [_LOW, _HIGH].

    The sum cancels to 1/z^2 for z << 0 and loses at most the last half of its digits at _LOW.
    """
    from scipy.special import erfcx

    z = np.minimum(np.maximum(z, _LOW), _HIGH)
    q = _ROOT_HALF_PI * erfcx(z * -math.sqrt(0.5))
    return q, 1.0 + z * q


def log_h(z: Floats) -> Floats:
    """log(phi(z) + z Phi(z)) without overflow or underflow, for every z.

    Ament, Daulton, Eriksson, Balandat & Bakshy, "Unexpected improvements to expected improvement
    for Bayesian optimization", NeurIPS 2023, eq. 9; here all three of its branches are written by
    the scaled complementary error function.
    """
    return _log_h(z, _parts(z)[1], *_beyond(z))


def _beyond(z: Floats) -> tuple[bool, bool]:
    """Whether some are below _LOW, and above _HIGH."""
    return (bool(z.min() < _LOW), bool(z.max() > _HIGH)) if z.size else (False, False)


def _log_h(z: Floats, t: Floats, low: bool, high: bool) -> Floats:
    out: Floats = -0.5 * z * z - LOG_ROOT_TAU + np.log(t)
    if high:
        out = np.where(z > _HIGH, np.log(np.maximum(z, 1.0)), out)
    if low:
        out = np.where(
            z < _LOW, -0.5 * z * z - LOG_ROOT_TAU - 2.0 * np.log(np.maximum(-z, 1.0)), out
        )
    return out


def log_ei(mean: Floats, deviation: Floats, best: float) -> Floats:
    """log E max(best - f, 0) for f ~ N(mean, deviation^2), shape (m,)."""
    return np.log(deviation) + log_h((best - mean) / deviation)


def log_ei_slopes(mean: Floats, deviation: Floats, best: float) -> tuple[Floats, Floats, Floats]:
    """`log_ei` and its derivatives by mean and deviation, shape (m,) each.

    They are -Phi(z)/(sd h(z)) and phi(z)/(sd h(z)), z = (best - mean)/sd.
    """
    z = (best - mean) / deviation
    q, t = _parts(z)
    low, high = _beyond(z)
    value = np.log(deviation) + _log_h(z, t, low, high)
    if low:
        far = np.minimum(z, -1.0)
        t = np.where(z < _LOW, 1.0 / (far * far), t)
        q = np.where(z < _LOW, -1.0 / far, q)
    by_mean = -q / (t * deviation)
    if high:
        by_mean = np.where(z > _HIGH, -1.0 / (deviation * np.maximum(z, 1.0)), by_mean)
    return value, by_mean, 1.0 / (t * deviation)


def log_below(mean: Floats, deviation: Floats, border: float) -> Floats:
    """log P(f <= border) for f ~ N(mean, deviation^2), shape (m,)."""
    from scipy.special import log_ndtr

    value: Floats = log_ndtr((border - mean) / deviation)
    return value


def log_below_slopes(
    mean: Floats, deviation: Floats, border: float
) -> tuple[Floats, Floats, Floats]:
    """`log_below` and its derivatives by mean and deviation, shape (m,) each: -phi(z)/(sd Phi(z)), and z times that."""
    z = (border - mean) / deviation
    value = log_below(mean, deviation, border)
    by_mean = -np.exp(-0.5 * z * z - LOG_ROOT_TAU - value) / deviation
    return value, by_mean, z * by_mean

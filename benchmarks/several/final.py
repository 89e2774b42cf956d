"""Problems beside those for developing. Until edition 6 none of them was looked at; then three runs of two seeds led to a
mend (of how far the reference lies, of the climb of scores with borders), so that they are not untouched any more.

Other datasets of the same surrogates, and functions that `several.py` does not have: ZDT6 (Zitzler, Deb & Thiele 2000), DTLZ7
(Deb et al. 2002), TNK and OSY (Deb 2001), the welded beam with two objectives (Deb 2001) and with one, and G4 and G6 (Michalewicz &
Schoenauer 1996). `final_figures.json` holds ideal, reference and hypervolume of the best front known, made as those of `several.py` are.
"""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

FIGURES = Path(__file__).with_name("final_figures.json")
FINAL = [
    "lcbench/167104:error,log_seconds",
    "lcbench/168330:cross_entropy,log_seconds",
    "lcbench/189862:error,log_seconds",
    "rbv2_xgboost/312:logloss,log_seconds",
    "rbv2_xgboost/1050:error,log_seconds",
    "rbv2_xgboost/1487:logloss,error,log_seconds",
    "rbv2_rpart/1068:logloss,log_seconds",
    "rbv2_rpart/40701:error,log_seconds",
    "iaml_glmnet/40981:error,features",
    "zdt6",
    "dtlz7",
    "tnk",
    "osy",
    "beam2",
    "lcbench/146212:error<log_seconds",
    "rbv2_xgboost/40981:logloss<log_seconds",
    "rbv2_rpart/40701:logloss<log_seconds",
    "beam",
    "g4",
    "g6",
]

Floats = Any


def _zdt6(x: Floats) -> dict[str, Floats]:
    f = 1 - np.exp(-4 * x[:, 0]) * np.sin(6 * math.pi * x[:, 0]) ** 6
    g = 1 + 9 * x[:, 1:].mean(1) ** 0.25
    return {"f1": f, "f2": g * (1 - (f / g) ** 2)}


def _dtlz7(x: Floats) -> dict[str, Floats]:
    g = 1 + 9 * x[:, 2:].mean(1)
    f = x[:, :2]
    h = 3 - (f / (1 + g[:, None]) * (1 + np.sin(3 * math.pi * f))).sum(1)
    return {"f1": f[:, 0], "f2": f[:, 1], "f3": (1 + g) * h}


def _tnk(x: Floats) -> dict[str, Floats]:
    a, b = x.T
    wave = 1 + 0.1 * np.cos(16 * np.arctan2(a, b))
    return {"f1": a, "f2": b, "c1": wave - a**2 - b**2, "c2": (a - 0.5) ** 2 + (b - 0.5) ** 2 - 0.5}


def _osy(x: Floats) -> dict[str, Floats]:
    a, b, c, d, e, f = x.T
    return {
        "f1": -(25 * (a - 2) ** 2 + (b - 2) ** 2 + (c - 1) ** 2 + (d - 4) ** 2 + (e - 1) ** 2),
        "f2": (x**2).sum(1),
        "c1": 2 - a - b,
        "c2": a + b - 6,
        "c3": b - a - 2,
        "c4": a - 3 * b - 2,
        "c5": (c - 3) ** 2 + d - 4,
        "c6": 4 - (e - 3) ** 2 - f,
    }


def _beam(x: Floats) -> dict[str, Floats]:
    h, l, t, b = x.T  # noqa: E741
    first = 6000 / (math.sqrt(2) * h * l)
    reach = np.sqrt(0.25 * (l**2 + (h + t) ** 2))
    second = 6000 * (14 + 0.5 * l) * reach
    second = second / (2 * 0.707 * h * l * (l**2 / 12 + 0.25 * (h + t) ** 2))
    shear = np.sqrt(first**2 + second**2 + l * first * second / reach)
    buckling = 64746.022 * (1 - 0.0282346 * t) * t * b**3
    return {
        "cost": 1.10471 * h**2 * l + 0.04811 * t * b * (14 + l),
        "deflection": 2.1952 / (t**3 * b),
        "shear": shear / 13600 - 1,
        "stress": 504000 / (t**2 * b) / 30000 - 1,
        "thickness": h - b,
        "buckling": 1 - buckling / 6000,
    }


def _beam1(x: Floats) -> dict[str, Floats]:
    values = _beam(x)
    return {**values, "deflection": values["deflection"] / 0.25 - 1}


def _g4(x: Floats) -> dict[str, Floats]:
    a, b, c, d, e = x.T
    u = 85.334407 + 0.0056858 * b * e + 0.0006262 * a * d - 0.0022053 * c * e
    v = 80.51249 + 0.0071317 * b * e + 0.0029955 * a * b + 0.0021813 * c**2
    w = 9.300961 + 0.0047026 * c * e + 0.0012547 * a * c + 0.0019085 * c * d
    value = 5.3578547 * c**2 + 0.8356891 * a * e + 37.293239 * a - 40792.141
    return {
        "f": value,
        "c1": u - 92,
        "c2": -u,
        "c3": v - 110,
        "c4": 90 - v,
        "c5": w - 25,
        "c6": 20 - w,
    }


def _g6(x: Floats) -> dict[str, Floats]:
    a, b = x.T
    return {
        "f": (a - 10) ** 3 + (b - 20) ** 3,
        "c1": 100 - (a - 5) ** 2 - (b - 5) ** 2,
        "c2": (a - 6) ** 2 + (b - 5) ** 2 - 82.81,
    }


def register(several: Any) -> list[str]:
    """Make `several.get_several` know these problems, and their figures as far as they are there; their names."""
    box = several._box  # noqa: SLF001
    beam = [0.125, 0.1, 0.1, 0.125], [5, 10, 10, 5]
    bounds = ("shear", "stress", "thickness", "buckling")
    six = tuple(f"c{k}" for k in range(1, 7))
    several.STANDARD |= {
        "zdt6": lambda: box("zdt6", 6, [0] * 6, [1] * 6, _zdt6),
        "dtlz7": lambda: box("dtlz7", 6, [0] * 6, [1] * 6, _dtlz7),
        "tnk": lambda: box("tnk", 2, [1e-6] * 2, [math.pi] * 2, _tnk, ("c1", "c2")),
        "osy": lambda: box("osy", 6, [0, 0, 1, 0, 1, 0], [10, 10, 5, 6, 5, 10], _osy, six),
        "beam2": lambda: box("beam2", 4, *beam, _beam, bounds),
        "beam": lambda: box("beam", 4, *beam, _beam1, (*bounds, "deflection")),
        "g4": lambda: box("g4", 5, [78, 33, 27, 27, 27], [102, 45, 45, 45, 45], _g4, six),
        "g6": lambda: box("g6", 2, [13, 0], [100, 100], _g6, ("c1", "c2")),
    }
    if FIGURES.exists():
        several._figures().update(json.loads(FIGURES.read_text()))  # noqa: SLF001
    return FINAL


def main() -> None:
    """Write `final_figures.json`; `several.py` is to be found on the path."""
    several = importlib.import_module("several")

    register(several)
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for name in FINAL:
        if name not in figures:
            figures[name] = several.figures_of(name)
            FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True))
            print(name, figures[name], flush=True)


if __name__ == "__main__":
    main()

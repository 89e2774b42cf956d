"""BoTorch as its tutorials have it, and Ax by default: Sobol points, then qLogNEI or qLogEHVI on its default Gaussian processes.

For numbers alone: a space with choices or conditions is refused. Relations: by rejection. Failures: the worst value so
far. Recommended: the best value seen.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from botorch import fit_gpytorch_mll
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective.logei import qLogExpectedHypervolumeImprovement
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms.outcome import Standardize
from botorch.optim import optimize_acqf
from botorch.utils.multi_objective.box_decompositions.non_dominated import (
    FastNondominatedPartitioning,
)
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from gpytorch.mlls import ExactMarginalLogLikelihood, SumMarginalLogLikelihood

from knobs import Config, Knobs
from peers import Seen

warnings.filterwarnings("ignore")
torch.set_default_dtype(torch.float64)
#: Sobol points before the first model, as Ax has by default.
FIRST = 5


class Suggest:
    """The next point of the unit cube, given those before and their losses."""

    def __init__(self, dimensions: int, seed: int) -> None:
        torch.manual_seed(seed)
        self._d = dimensions
        self._sobol = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed)
        self._first = max(FIRST, 2 * dimensions)

    def __call__(self, points: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """`points` has the shape (n, dimensions), `losses` (n, objectives)."""
        if len(points) < self._first or not np.ptp(losses, axis=0).all():
            return np.asarray(self._sobol.draw(1)[0].double())
        x, y = torch.as_tensor(points), -torch.as_tensor(losses)
        parts = [SingleTaskGP(x, y[:, [j]], outcome_transform=Standardize(1)) for j in range(y.shape[1])]  # fmt: skip
        if len(parts) == 1:
            fit_gpytorch_mll(ExactMarginalLogLikelihood(parts[0].likelihood, parts[0]))
            acquisition = qLogNoisyExpectedImprovement(parts[0], x, prune_baseline=True)
        else:
            model = ModelListGP(*parts)
            fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
            reference = infer_reference_point(y[is_non_dominated(y)])
            boxes = FastNondominatedPartitioning(reference, Y=y)
            acquisition = qLogExpectedHypervolumeImprovement(model, reference.tolist(), boxes)
        bounds = torch.stack([torch.zeros(self._d), torch.ones(self._d)])
        best, _ = optimize_acqf(acquisition, bounds, q=1, num_restarts=8, raw_samples=256)
        return np.asarray(best[0])


def number(kind: str, low: float, high: float, log: bool, share: float) -> float | int:
    """The value of a parameter at a share of its range."""
    if kind == "int":
        low, high = low - 0.4999, high + 0.4999
    if log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    return round(value) if kind == "int" else value


class Botorch:
    def __init__(self, knobs: Knobs, *, seed: int, trials: int) -> None:
        if any(knob.kind == "choice" or knob.parents for knob in knobs.all):
            raise ValueError("this adapter of BoTorch is for numbers alone")
        self._knobs, self._seen = knobs, Seen()
        self._suggest = Suggest(len(knobs.all), seed)
        self._points: list[np.ndarray] = []
        self._losses: list[Sequence[float]] = []

    def ask(self) -> Config:
        self._points.append(
            self._suggest(np.array(self._points), np.array(self._losses, dtype=float))
        )
        shares = zip(self._knobs.all, self._points[-1].tolist(), strict=True)
        return self._knobs.config(
            {k.name: number(k.kind, k.low, k.high, k.log, share) for k, share in shares}
        )

    def tell(self, config: Config, value: float, failed: bool) -> None:
        self._seen.note(config, value, failed)
        self._losses.append([self._seen.penalty if failed else value])

    def recommend(self) -> Config | None:
        return self._seen.best

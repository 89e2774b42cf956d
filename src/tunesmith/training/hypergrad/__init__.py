"""Gradients of a validation loss by hyperparameters.

Through a training in PyTorch (``pip install 'tunesmith[torch]'``): `reverse` for many hyperparameters, `forward` for
few and long trainings, `implicit` where the weights are at a minimum. In closed form, without PyTorch: `ridge`,
`kernel_ridge`, `logistic`. `as_metrics` makes of each what a trial returns, and ``searcher="gradient"`` follows.
`HypergradientDescent` moves the learning rate while a training runs.
"""

from tunesmith.training.hypergrad.closed import Slope, kernel_ridge, logistic, ridge
from tunesmith.training.hypergrad.implicit import implicit
from tunesmith.training.hypergrad.rate import HypergradientDescent
from tunesmith.training.hypergrad.tensors import Hypergradient, as_metrics
from tunesmith.training.hypergrad.through import forward, reverse, sgd

__all__ = [
    "Hypergradient",
    "HypergradientDescent",
    "Slope",
    "as_metrics",
    "forward",
    "implicit",
    "kernel_ridge",
    "logistic",
    "reverse",
    "ridge",
    "sgd",
]

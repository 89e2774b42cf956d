"""k-NN, as SageMaker's algorithm of that name: by brute force, on a sample of the training rows."""

from __future__ import annotations

import numpy as np

from tunesmith.service.sagemaker.algorithms import WITHOUT_EFFECT, scores
from tunesmith.service.sagemaker.algorithms.inputs import Floats, Inputs, fail, fit_width, say

_AT_A_TIME = 256


def main() -> None:
    inputs = Inputs()
    inputs.say_unused(WITHOUT_EFFECT["knn"])
    if not inputs.has("train"):
        fail("there is no channel train")
    train = inputs.rows("train", missing=False)
    kind = inputs.take("predictor_type")
    if kind not in ("classifier", "regressor"):
        fail(f"the hyperparameter predictor_type is classifier or regressor, not {kind!r}")
    rng = np.random.default_rng(int(inputs.number("seed", 0)))
    sample = int(inputs.number("sample_size", len(train.labels), least=1))
    chosen = rng.permutation(len(train.labels))[:sample]
    labels, features = train.labels[chosen], train.features[chosen]
    k = int(inputs.number("k", 10, least=1))
    if k > len(labels):
        fail(f"k is {k}, and there are {len(labels)} rows")
    metric = str(inputs.take("index_metric", "L2"))
    if metric not in ("L2", "COSINE", "INNER_PRODUCT"):
        fail(f"index_metric is L2, COSINE or INNER_PRODUCT, not {metric!r}")
    reduction = str(inputs.take("dimension_reduction_type", "None"))
    width = features.shape[1]
    matrix: Floats = np.eye(width)
    if reduction in ("sign", "fjlt"):
        target = int(inputs.number("dimension_reduction_target", max(2, width // 2), least=1))
        matrix = rng.choice([-1.0, 1.0], size=(width, target)) / np.sqrt(target)
    elif reduction != "None":
        fail(f"dimension_reduction_type is sign or fjlt, not {reduction!r}")
    known = features @ matrix
    np.savez(inputs.model / "model_algo-1.npz", labels=labels, features=known, matrix=matrix, k=k)
    if not inputs.has("test"):
        if inputs.wanted:
            fail(f"there is no channel test, of which {inputs.wanted} is")
        return
    test = fit_width(inputs.rows("test", missing=False), width)
    asked = test.features @ matrix
    guess = np.concatenate(
        [
            _guess(asked[i : i + _AT_A_TIME], known, labels, k, metric, vote=kind == "classifier")
            for i in range(0, len(asked), _AT_A_TIME)
        ]
    )
    if kind == "classifier":
        say(f"test:accuracy={scores.accuracy(test.labels, guess):.10g}")
    else:
        say(f"test:mse={scores.mse(test.labels, guess):.10g}")


def _guess(
    asked: Floats, known: Floats, labels: Floats, k: int, metric: str, *, vote: bool
) -> Floats:
    """What the `k` nearest of `known` say of each row."""
    if metric == "COSINE":
        asked = asked / np.maximum(np.linalg.norm(asked, axis=1, keepdims=True), 1e-12)
        known = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-12)
    far = -(asked @ known.T)
    if metric == "L2":
        far = (known**2).sum(axis=1) + 2 * far
    nearest = labels[np.argpartition(far, k - 1, axis=1)[:, :k]]
    if not vote:
        return np.asarray(nearest.mean(axis=1))
    classes = np.unique(labels)
    return np.asarray(classes[(nearest[:, :, None] == classes).sum(axis=1).argmax(axis=1)])


if __name__ == "__main__":
    main()

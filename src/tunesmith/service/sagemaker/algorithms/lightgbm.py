"""LightGBM, as SageMaker's image of that name: the first column is the label; ``auc: 0.9`` and the like are printed each round."""

from __future__ import annotations

from typing import Any

import lightgbm

from tunesmith.service.sagemaker.algorithms import LIGHTGBM
from tunesmith.service.sagemaker.algorithms.inputs import Inputs, Rows, fail, fit_width, say


def main() -> None:
    inputs = Inputs()
    rounds = int(inputs.number("num_boost_round", 5000, least=1))
    patience = int(inputs.number("early_stopping_rounds", 30, least=0))
    wanted = inputs.wanted
    metric = inputs.take("metric", wanted or "auto")
    values = {
        name: value
        for name, value in inputs.values.items()
        if not name.startswith(("_", "sagemaker_"))
    }
    values["verbosity"] = -1
    metrics = [] if metric == "auto" else str(metric).split(",")
    if wanted in LIGHTGBM and wanted not in metrics:
        metrics.append(wanted)
    if metrics:
        values["metric"] = metrics
    channel = next((name for name in ("train", "training") if inputs.has(name)), None)
    if channel is None:
        fail("there is no channel train")
    train = inputs.rows(channel)
    if "objective" not in values:
        values |= _objective(train, wanted)
    data = lightgbm.Dataset(train.features, train.labels)
    shown, name = data, "train"
    if inputs.has("validation"):
        rows = fit_width(inputs.rows("validation"), train.features.shape[1])
        shown, name = data.create_valid(rows.features, rows.labels), "validation"

    def printed(env: Any) -> None:
        parts = [f"{metric}: {value:.10g}" for _, metric, value, _ in env.evaluation_result_list]
        say(f"[{env.iteration + 1}] {name} " + " ".join(parts))

    callbacks: list[Any] = [printed]
    if patience and name == "validation":
        callbacks.append(lightgbm.early_stopping(patience, first_metric_only=True, verbose=False))
    try:
        model = lightgbm.train(values, data, rounds, [shown], [name], callbacks=callbacks)
    except (ValueError, lightgbm.basic.LightGBMError) as error:
        fail(f"LightGBM: {error}")
    model.save_model(inputs.model / "model.txt")


def _objective(train: Rows, wanted: str) -> dict[str, Any]:
    """By the metric that counts, else by the labels."""
    classes = len(set(train.labels.tolist()))
    whole = bool((train.labels == train.labels.round()).all())
    if wanted.startswith(("binary", "auc", "average_precision")) and wanted != "auc_mu":
        return {"objective": "binary"}
    if (
        wanted.startswith("multi")
        or wanted == "auc_mu"
        or (not wanted and whole and 2 < classes <= 50)
    ):
        return {"objective": "multiclass", "num_class": int(train.labels.max()) + 1}
    if not wanted and whole and classes == 2:
        return {"objective": "binary"}
    return {"objective": "regression"}


if __name__ == "__main__":
    main()

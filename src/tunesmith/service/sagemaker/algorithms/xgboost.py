"""XGBoost, as SageMaker's image of that name: the first column is the label; ``validation:auc`` and the like are printed each round."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost

from tunesmith.service.sagemaker.algorithms import BY_LABELS, scores
from tunesmith.service.sagemaker.algorithms.inputs import Inputs, fail, fit_width, say


class Printed(xgboost.callback.TrainingCallback):  # type: ignore[misc]
    """Prints a round's metrics, by SageMaker's names."""

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        parts = [
            f"{channel}:{metric}={values[-1]:.10g}"
            for channel, metrics in evals_log.items()
            for metric, values in metrics.items()
        ]
        say(f"[{epoch}] " + " ".join(parts))
        return False


def main() -> None:
    inputs = Inputs()
    rounds = int(inputs.number("num_round", 0, least=1)) if "num_round" in inputs.values else 0
    if not rounds:
        fail("the hyperparameter num_round is missing: how many rounds are trained")
    weighted = bool(inputs.take("csv_weights", 0))
    patience = inputs.take("early_stopping_rounds")
    wanted = inputs.wanted.partition(":")[2]
    asked = inputs.take("eval_metric", [])
    asked = [name.strip() for name in asked.split(",")] if isinstance(asked, str) else list(asked)
    if wanted and wanted not in asked:
        asked.append(wanted)
    own = [name for name in asked if name in BY_LABELS]
    values = {
        name: value
        for name, value in inputs.values.items()
        if not name.startswith(("_", "sagemaker_", "save_"))
    }
    theirs = [name for name in asked if name not in own]
    if theirs:
        values["eval_metric"] = theirs
    elif own:
        values["disable_default_eval_metric"] = True
    if not inputs.has("train"):
        fail("there is no channel train")
    train = inputs.rows("train", weighted=weighted)
    data = [(xgboost.DMatrix(train.features, train.labels, weight=train.weights), "train")]
    if inputs.has("validation"):
        rows = fit_width(inputs.rows("validation", weighted=weighted), train.features.shape[1])
        data.append(
            (xgboost.DMatrix(rows.features, rows.labels, weight=rows.weights), "validation")
        )
    elif wanted and inputs.wanted.startswith("validation"):
        fail(f"there is no channel validation, of which {inputs.wanted} is")

    def by_labels(predicted: Any, matrix: Any) -> list[tuple[str, float]]:
        guess = np.asarray(predicted, dtype=np.float64)
        objective = str(values.get("objective", ""))
        if guess.ndim == 2 and guess.shape[1] > 1:
            guess = guess.argmax(axis=1).astype(np.float64)
        elif "logistic" in objective:
            guess = (guess.ravel() > 0.5).astype(np.float64)
        truth = np.asarray(matrix.get_label(), dtype=np.float64)
        return [(name, scores.BY_NAME[name](truth, guess.ravel())) for name in own]

    try:
        model = xgboost.train(
            values,
            data[0][0],
            rounds,
            evals=data,
            custom_metric=by_labels if own else None,
            early_stopping_rounds=int(patience) if patience else None,
            callbacks=[Printed()],
            verbose_eval=False,
        )
    except (ValueError, xgboost.core.XGBoostError) as error:
        fail(f"XGBoost: {str(error).splitlines()[-1] if str(error) else error}")
    # by SageMaker's name; the kind of file is said by an ending, which that has not
    written = inputs.model / "model.ubj"
    model.save_model(written)
    written.rename(inputs.model / "xgboost-model")


if __name__ == "__main__":
    main()

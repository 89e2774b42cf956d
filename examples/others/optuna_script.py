"""A script for Optuna, as its users write it. A line that was changed has what it was beside it."""

import optuna
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tunesmith.integrations.optuna import TunesmithSampler

X, y = load_wine(return_X_y=True)


def objective(trial):
    kernel = trial.suggest_categorical("kernel", ["rbf", "linear"])
    model = SVC(
        kernel=kernel,
        C=trial.suggest_float("C", 1e-2, 1e3, log=True),
        gamma=trial.suggest_float("gamma", 1e-4, 1, log=True) if kernel == "rbf" else "scale",
    )
    return cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=3).mean()


study = optuna.create_study(
    study_name="wine",
    storage="sqlite:///optuna.db",
    direction="maximize",
    load_if_exists=True,
    sampler=TunesmithSampler(seed=0),  # was: sampler=optuna.samplers.TPESampler(seed=0),
)
study.optimize(objective, n_trials=20)
print(study.best_value, study.best_params)

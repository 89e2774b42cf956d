"""CatBoost, Lightning, transformers and Stable-Baselines3: reports at each step, a stopped trial that leaves a model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunesmith as ts

for needed in ("catboost", "lightning", "transformers", "stable_baselines3"):
    pytest.importorskip(needed, reason="runs in the environment 'libraries' (tools/check)")

import catboost  # noqa: E402
import torch  # noqa: E402

X = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.float32)
STEPS = 5


@pytest.fixture(autouse=True)
def _their_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def with_catboost(trial: Any, folder: Path) -> int:
    from tunesmith.integrations.catboost import ReportCallback

    model = catboost.CatBoostClassifier(
        iterations=STEPS, thread_count=1, verbose=0, allow_writing_files=False
    )
    model.fit(
        X,
        Y,
        eval_set=(X, Y),
        callbacks=[ReportCallback(trial, monitor={"validation-Logloss": "loss"})],
    )
    assert model.predict(X).shape == Y.shape
    return int(model.tree_count_)


def with_lightning(trial: Any, folder: Path) -> int:
    return fit_lightning(trial, folder, {"val_loss": "loss"})


def fit_lightning(
    trial: Any,
    folder: Path,
    monitor: Any,
    logged: list[dict[str, float]] | None = None,
    **options: Any,
) -> int:
    """`logged` gets what each epoch's values are, by the module's own account."""
    import lightning

    from tunesmith.integrations.lightning import ReportCallback

    class Net(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)
            self.now: dict[str, list[float]] = {}

        def seen(self, name: str, value: Any) -> Any:
            self.log(name, value, on_step=False, on_epoch=True)
            self.now.setdefault(name, []).append(float(value))
            return value

        def loss(self, batch: Any) -> Any:
            return torch.nn.functional.binary_cross_entropy_with_logits(
                self.layer(batch[0])[:, 0], batch[1]
            )

        def training_step(self, batch: Any, _: int) -> Any:
            return self.seen("train_loss", self.loss(batch))

        def on_validation_epoch_start(self) -> None:
            self.now["val_loss"] = []

        def validation_step(self, batch: Any, _: int) -> None:
            self.seen("val_loss", self.loss(batch))

        def on_train_epoch_start(self) -> None:
            self.now = {}

        def on_train_epoch_end(self) -> None:
            if logged is not None:
                logged.append({name: float(np.mean(values)) for name, values in self.now.items()})
            self.log("late", float(self.trainer.current_epoch) + 1.0)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    data = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y)), batch_size=32
    )
    trainer = lightning.Trainer(
        max_epochs=STEPS, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, callbacks=[ReportCallback(trial, monitor=monitor)], **options,
    )  # fmt: skip
    assert [type(callback) for callback in trainer.callbacks] == [ReportCallback]
    trainer.fit(Net(), data, data)
    return int(trainer.current_epoch)


def with_transformers(trial: Any, folder: Path) -> int:
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    from tunesmith.integrations.transformers import ReportCallback

    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=16,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=8,
        )
    )
    rows = [{"input_ids": [i % 7 + 1, 2, 3], "labels": i % 2} for i in range(16)]
    arguments = TrainingArguments(
        output_dir=str(folder), num_train_epochs=STEPS, per_device_train_batch_size=16, eval_strategy="epoch",
        report_to=[], use_cpu=True, save_strategy="no", disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    trainer = Trainer(
        model,
        arguments,
        train_dataset=rows,
        eval_dataset=rows,
        callbacks=[ReportCallback(trial, monitor={"eval_loss": "loss"})],
    )
    trainer.train()
    return int(trainer.state.global_step)


def with_stable_baselines3(trial: Any, folder: Path) -> int:
    from stable_baselines3 import A2C

    from tunesmith.integrations.stable_baselines3 import ReportCallback

    model = A2C("MlpPolicy", "CartPole-v1", n_steps=64, seed=0, device="cpu")
    model.learn(64 * STEPS, callback=ReportCallback(trial, monitor={"ep_rew_mean": "loss"}))
    return -(-int(model.num_timesteps) // 64)  # stopped within the next rollout


LIBRARIES: list[Callable[[Any, Path], int]] = [
    with_catboost,
    with_lightning,
    with_transformers,
    with_stable_baselines3,
]


@pytest.mark.parametrize("train", LIBRARIES)
def test_it_reports_each_step_and_stops(train: Callable[[Any, Path], int], tmp_path: Path) -> None:
    """What the trial returns after it was told to stop does not count: it was stopped."""
    lengths = []

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        lengths.append(train(trial, tmp_path))
        return -1.0

    result = ts.tune(
        objective, {"x": 1}, metric="loss", trials=1, progress=False, scheduler={"threshold": {"worst": 1e-9}},
    )  # fmt: skip
    assert [t.state for t in result.trials] == [ts.State.STOPPED], result.trials[0]
    assert len(result.ledger.curves.of(0)) == 1
    assert result.trials[0].metrics["loss"] > 0
    assert lengths[0] <= 2


@pytest.mark.parametrize("train", LIBRARIES)
def test_whole_runs(train: Callable[[Any, Path], int], tmp_path: Path) -> None:
    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        assert train(trial, tmp_path) == STEPS
        return 1.5

    result = ts.tune(objective, {"x": 1}, metric="loss", trials=1, progress=False)
    assert result.best.value == 1.5
    assert len(result.ledger.curves.of(0)) == STEPS


@pytest.mark.parametrize("train", LIBRARIES)
def test_alone_it_does_nothing(train: Callable[[Any, Path], int], tmp_path: Path) -> None:
    assert train(None, tmp_path) == STEPS


@pytest.mark.parametrize(
    ("monitor", "options", "steps"),
    [
        ("val_loss", {"check_val_every_n_epoch": 2}, [2, 4]),
        ("val_loss", {"val_check_interval": 0.5}, [1, 2, 3, 4, 5]),
        ("train_loss", {}, [1, 2, 3, 4, 5]),
        ("train_loss", {"limit_val_batches": 0}, [1, 2, 3, 4, 5]),
    ],
)
def test_lightning_reports_no_epoch_with_the_values_of_another(
    tmp_path: Path, monitor: str, options: dict[str, Any], steps: list[int]
) -> None:
    logged: list[dict[str, float]] = []

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        fit_lightning(trial, tmp_path, {monitor: "loss"}, logged, **options)
        return 1.5

    result = ts.tune(objective, {"x": 1}, metric="loss", trials=1, progress=False)
    reported = {report.step: report.metrics["loss"] for report in result.ledger.curves.of(0)}
    assert list(reported) == steps
    for step, value in reported.items():
        assert value == pytest.approx(logged[step - 1][monitor], rel=1e-5)


@pytest.mark.parametrize("worst", [2.5, 9.0])
def test_lightning_reports_what_the_module_logs_at_the_end_of_an_epoch(
    tmp_path: Path, worst: float
) -> None:
    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        assert fit_lightning(trial, tmp_path, {"late": "loss"}) == min(STEPS, int(worst + 1))
        return 1.5

    result = ts.tune(
        objective, {"x": 1}, metric="loss", trials=1, progress=False, scheduler={"threshold": {"worst": worst}}
    )  # fmt: skip
    assert result.trials[0].state is (ts.State.STOPPED if worst < STEPS else ts.State.COMPLETED)
    reports = result.ledger.curves.of(0)
    assert [(report.step, report.metrics["loss"]) for report in reports] == [
        (k, float(k)) for k in range(1, min(STEPS, int(worst + 1)) + 1)
    ]


def test_a_metric_that_is_never_there_is_said() -> None:
    from stable_baselines3 import A2C

    from tunesmith.integrations.stable_baselines3 import ReportCallback

    model = A2C("MlpPolicy", "CartPole-v1", n_steps=64, seed=0, device="cpu")
    with pytest.raises(ts.ConfigError, match=r"monitor='ep_rew_maen' .*did you mean 'ep_rew_mean'"):
        model.learn(128, callback=ReportCallback(monitor="ep_rew_maen"))


def test_what_a_callback_raises_is_wrapped_and_still_a_stop() -> None:
    """CatBoost makes an error of its own of it."""

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        class Raises:
            def after_iteration(self, info: Any) -> bool:
                trial.report(step=info.iteration, loss=1.0)
                return True

        catboost.CatBoostClassifier(iterations=STEPS, verbose=0, allow_writing_files=False).fit(
            X, Y, callbacks=[Raises()]
        )
        return 0.0

    for isolate in (False, True):
        result = ts.tune(
            objective,
            {"x": 1},
            metric="loss",
            trials=1,
            progress=False,
            isolate=isolate,
            scheduler={"threshold": {"worst": 0.5}},
        )
        assert [t.state for t in result.trials] == [ts.State.STOPPED], result.trials[0].reason


def test_the_hyperparameter_search_of_transformers(tmp_path: Path) -> None:
    """Its backend for Optuna hands a sampler over: no door of its own is needed."""
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    from tunesmith.integrations.optuna import TunesmithSampler

    def model() -> Any:
        sizes = {"vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 1}
        return BertForSequenceClassification(
            BertConfig(**sizes, num_attention_heads=1, intermediate_size=8)
        )

    rows = [{"input_ids": [i % 7 + 1, 2, 3], "labels": i % 2} for i in range(16)]
    arguments = TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=1, per_device_train_batch_size=16, eval_strategy="epoch",
        report_to=[], use_cpu=True, save_strategy="no", disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    trainer = Trainer(args=arguments, model_init=model, train_dataset=rows, eval_dataset=rows)
    url = f"sqlite:///{tmp_path / 'o.db'}"
    best = trainer.hyperparameter_search(
        lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True)},
        n_trials=3, backend="optuna", sampler=TunesmithSampler(seed=0), storage=url, study_name="t",
    )  # fmt: skip
    assert 1e-5 <= best.hyperparameters["learning_rate"] <= 1e-2
    import optuna

    trials = optuna.load_study(study_name="t", storage=url).trials
    assert any("tunesmith:suggested" in trial.system_attrs for trial in trials)

"""Version 3 of SageMaker's SDK, unchanged."""

from __future__ import annotations

from tests.service.sagemaker.sdk.scripts import Clouds

_SETUP = """
        import json
        from sagemaker.core.helper.session_helper import Session
        from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter
        from sagemaker.core.training.configs import Compute, InputData, SourceCode
        from sagemaker.train import ModelTrainer
        from sagemaker.train.tuner import HyperparameterTuner

        session = Session()
        bucket = session.default_bucket()
        session.upload_data(path="data", bucket=bucket, key_prefix="three/digits")
        inputs = [InputData(channel_name="training", data_source="s3://" + bucket + "/three/digits/")]

        def trainer(**hyperparameters):
            return ModelTrainer(
                training_image="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.0.0-cpu-py310",
                source_code=SourceCode(source_dir="code", entry_script="mnist.py"),
                compute=Compute(instance_type="ml.m5.xlarge", instance_count=1),
                role="arn:aws:iam::123456789012:role/SageMaker", sagemaker_session=session,
                base_job_name="digits", hyperparameters=hyperparameters,
            )
"""


def test_tune(clouds: Clouds) -> None:
    """Tune, the best, the table of trainings, and a job that starts from it (3.27's `transfer_learning_tuner` itself fails)."""
    found = clouds.run(
        _SETUP
        + """
        tuner = HyperparameterTuner(
            trainer(epochs=2), "average test loss",
            {"lr": ContinuousParameter(0.001, 0.1), "batch-size": CategoricalParameter(["32", "64", "128"])},
            [{"Name": "average test loss", "Regex": "Test set: Average loss: ([0-9\\\\.]+)"}],
            objective_type="Minimize", max_jobs=2, max_parallel_jobs=2,
        )
        tuner.tune(inputs=inputs, wait=True)
        job = tuner.latest_tuning_job
        table = tuner.analytics().dataframe()
        from sagemaker.core.shapes import HyperParameterTuningJobWarmStartConfig, ParentHyperParameterTuningJob
        parent = ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name=job.hyper_parameter_tuning_job_name)
        child = HyperparameterTuner(
            trainer(epochs=2), "average test loss",
            {"lr": ContinuousParameter(0.001, 0.1), "batch-size": CategoricalParameter(["32", "64", "128"])},
            [{"Name": "average test loss", "Regex": "Test set: Average loss: ([0-9\\\\.]+)"}],
            objective_type="Minimize", max_jobs=1, max_parallel_jobs=1,
            warm_start_config=HyperParameterTuningJobWarmStartConfig(
                warm_start_type="TransferLearning", parent_hyper_parameter_tuning_jobs=[parent],
            ),
        )
        child.tune(inputs=inputs, job_name=job.hyper_parameter_tuning_job_name[:20] + "-child", wait=True)
        from sagemaker.core.resources import HyperParameterTuningJob, TrainingJob
        best = TrainingJob.get(tuner.best_training_job(), region="us-east-1")
        print(json.dumps({
            "statuses": list(table["TrainingJobStatus"]), "columns": list(table.columns),
            "model": best.model_artifacts.s3_model_artifacts, "epochs": best.hyper_parameters["epochs"],
            "best": tuner.best_training_job(), "child": child.describe().hyper_parameter_tuning_job_status,
            "all": [one.training_job_name for one in job.get_all_training_jobs()],
            "start": child.describe().warm_start_config.warm_start_type,
            "jobs": len(list(HyperParameterTuningJob.get_all(name_contains="child"))),
        }))
    """
    )
    assert found["statuses"] == ["Completed"] * 2
    assert {"lr", "batch-size", "FinalObjectiveValue"} <= set(found["columns"])
    assert found["epochs"] == "2"
    assert found["best"] in found["all"]
    assert found["model"].removeprefix("s3://bucket/") in clouds.storage.names()
    assert found["child"] == "Completed"
    assert found["start"] == "TransferLearning"
    assert found["jobs"] == 1


def test_train(clouds: Clouds) -> None:
    """A training alone, and what it prints: its container would be told to run the SDK's own driver."""
    found = clouds.run(
        _SETUP
        + """
        model = trainer(epochs=1, lr=0.05)
        model.train(input_data_config=inputs)
        job = model._latest_training_job
        job.refresh()
        print(json.dumps({"status": job.training_job_status, "model": job.model_artifacts.s3_model_artifacts}))
    """
    )
    assert found["status"] == "Completed"
    assert found["model"].removeprefix("s3://bucket/") in clouds.storage.names()

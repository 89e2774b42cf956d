"""Version 2 of SageMaker's SDK, unchanged: what published notebooks do, with data of our own."""

from __future__ import annotations

from tests.service.sagemaker.sdk.scripts import Clouds


def test_pytorch_mnist(clouds: Clouds) -> None:
    """Fit, the best, its estimator; found again by its name; the table of its trainings; two jobs that start from it."""
    found = clouds.run("""
        import json
        import sagemaker
        from sagemaker.pytorch import PyTorch
        from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner

        session = sagemaker.Session()
        bucket = session.default_bucket()
        inputs = session.upload_data(path="data", bucket=bucket, key_prefix="sagemaker/digits")
        estimator = PyTorch(
            entry_point="mnist.py", role="arn:aws:iam::123456789012:role/SageMaker", py_version="py310",
            framework_version="2.0.0", instance_count=1, instance_type="ml.c5.2xlarge",
            hyperparameters={"epochs": 2, "backend": "gloo"}, sagemaker_session=session,
        )
        tuner = HyperparameterTuner(
            estimator, "average test loss",
            {"lr": ContinuousParameter(0.001, 0.1), "batch-size": CategoricalParameter([32, 64, 128])},
            [{"Name": "average test loss", "Regex": "Test set: Average loss: ([0-9\\\\.]+)"}],
            max_jobs=3, max_parallel_jobs=2, objective_type="Minimize", base_tuning_job_name="digits",
        )
        tuner.fit({"training": inputs})
        name = tuner.latest_tuning_job.name
        table = tuner.analytics().dataframe()
        best = tuner.best_estimator()
        again = HyperparameterTuner.attach(name)
        child = again.identical_dataset_and_algorithm_tuner()
        child.max_jobs = child.max_parallel_jobs = 1
        child.fit({"training": inputs}, job_name=name[:20] + "-child")
        other = tuner.transfer_learning_tuner(additional_parents={child.latest_tuning_job.name})
        other.max_jobs = other.max_parallel_jobs = 1
        other.fit({"training": inputs}, job_name=name[:20] + "-other")
        told = other.describe()
        print(json.dumps({
            "name": name, "columns": list(table.columns), "values": list(table["FinalObjectiveValue"]),
            "statuses": list(table["TrainingJobStatus"]), "best": tuner.best_training_job(), "model": best.model_data,
            "hyperparameters": best.hyperparameters(), "attached": again.best_training_job(),
            "status": told["HyperParameterTuningJobStatus"], "start": told["WarmStartConfig"],
            "overall": child.describe()["OverallBestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"],
        }))
    """)
    assert found["statuses"] == ["Completed"] * 3
    assert {"lr", "batch-size", "TrainingElapsedTimeSeconds"} <= set(found["columns"])
    assert found["attached"] == found["best"]
    assert found["model"] == f"s3://bucket/{found['best']}/output/model.tar.gz"
    assert found["model"].removeprefix("s3://bucket/") in clouds.storage.names()
    assert found["hyperparameters"]["epochs"] == "2"
    assert found["status"] == "Completed"
    assert len(found["start"]["ParentHyperParameterTuningJobs"]) == 2
    assert found["overall"] <= min(found["values"])


def test_xgboost_random_and_log(clouds: Clouds) -> None:
    found = clouds.run("""
        import json
        import sagemaker
        from sagemaker.tuner import ContinuousParameter, HyperparameterTuner, IntegerParameter

        session = sagemaker.Session()
        bucket = session.default_bucket()
        places = {}
        for channel in ("train", "validation"):
            place = session.upload_data(path=channel + ".csv", bucket=bucket, key_prefix="direct/" + channel)
            places[channel] = sagemaker.inputs.TrainingInput(s3_data=place, content_type="csv")
        image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, "latest")
        xgb = sagemaker.estimator.Estimator(
            image, "arn:aws:iam::123456789012:role/SageMaker", instance_count=1, instance_type="ml.m4.xlarge",
            output_path="s3://" + bucket + "/direct/output", sagemaker_session=session, base_job_name="xgboost-random-search",
        )
        xgb.set_hyperparameters(
            eval_metric="auc", objective="binary:logistic", num_round=5, rate_drop=0.3, tweedie_variance_power=1.4
        )
        found = []
        for scaling in ("Logarithmic", "Linear"):
            ranges = {
                "alpha": ContinuousParameter(0.01, 10, scaling_type=scaling),
                "lambda": ContinuousParameter(0.01, 10, scaling_type=scaling),
                "max_depth": IntegerParameter(1, 10),
            }
            tuner = HyperparameterTuner(xgb, "validation:auc", ranges, max_jobs=2, max_parallel_jobs=2, strategy="Random")
            tuner.fit(places, include_cls_metadata=False, job_name="xgb-" + scaling)
            name = tuner.latest_tuning_job.name
            analyzed = sagemaker.HyperparameterTuningJobAnalytics(name)
            table = analyzed.dataframe()
            told = session.sagemaker_client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
            config = told["HyperParameterTuningJobConfig"]
            found.append({
                "values": list(table["FinalObjectiveValue"]), "alpha": list(table["alpha"]),
                "ranges": sorted(analyzed.tuning_ranges), "count": told["TrainingJobStatusCounters"]["Completed"],
                "objective": config["HyperParameterTuningJobObjective"]["Type"],
                "scaling": config["ParameterRanges"]["ContinuousParameterRanges"][0]["ScalingType"],
            })
        print(json.dumps(found))
    """)
    assert [one["scaling"] for one in found] == ["Logarithmic", "Linear"]
    for one in found:
        assert one["count"] == 2
        assert one["objective"] == "Maximize"
        assert one["ranges"] == ["alpha", "lambda", "max_depth"]
        assert all(value > 0.8 for value in one["values"])
        assert all(0.01 <= alpha <= 10 for alpha in one["alpha"])


def test_a_training_alone_and_a_job_that_is_stopped(clouds: Clouds) -> None:
    """`Estimator.fit`, which shows what is printed; several estimators in one job; `stop_tuning_job`."""
    found = clouds.run("""
        import json
        import time
        import sagemaker
        from sagemaker.pytorch import PyTorch
        from sagemaker.tuner import ContinuousParameter, HyperparameterTuner

        session = sagemaker.Session()
        inputs = session.upload_data(path="data", bucket=session.default_bucket(), key_prefix="sagemaker/digits")

        def estimator(epochs):
            return PyTorch(
                entry_point="mnist.py", role="arn:aws:iam::123456789012:role/SageMaker", py_version="py310",
                framework_version="2.0.0", instance_count=1, instance_type="ml.c5.2xlarge",
                hyperparameters={"epochs": epochs}, sagemaker_session=session,
            )

        alone = estimator(1)
        alone.fit({"training": inputs})
        metric = {"Name": "loss", "Regex": "Average loss: ([0-9\\\\.]+)"}
        tuner = HyperparameterTuner.create(
            estimator_dict={"short": estimator(1), "long": estimator(10**6)},
            objective_metric_name_dict={"short": "loss", "long": "loss"},
            hyperparameter_ranges_dict={name: {"lr": ContinuousParameter(0.001, 0.1)} for name in ("short", "long")},
            metric_definitions_dict={"short": [metric], "long": [metric]},
            strategy="Random", objective_type="Minimize", max_jobs=50, max_parallel_jobs=2,
        )
        tuner.fit({"short": {"training": inputs}, "long": {"training": inputs}}, include_cls_metadata={}, wait=False)
        while not tuner.describe()["ObjectiveStatusCounters"]["Pending"]:
            time.sleep(0.5)
        tuner.stop_tuning_job()
        try:
            tuner.wait()
        except Exception as error:
            said = str(error)
        else:
            said = ""
        print(json.dumps({"model": alone.model_data, "status": tuner.describe()["HyperParameterTuningJobStatus"], "said": said}))
    """)
    assert found["model"].removeprefix("s3://bucket/") in clouds.storage.names()
    assert "Test set: Average loss: " in clouds.said
    assert found["status"] == "Stopped", found["said"]


def test_linear_learner_and_knn(clouds: Clouds) -> None:
    """Amazon's algorithms by their own estimators, which send arrays as RecordIO in a manifest of shards."""
    found = clouds.run("""
        import json
        import numpy as np
        import sagemaker
        from sagemaker.tuner import ContinuousParameter, HyperparameterTuner, IntegerParameter

        session = sagemaker.Session()
        role = "arn:aws:iam::123456789012:role/SageMaker"
        rng = np.random.default_rng(0)
        x = rng.normal(size=(400, 5)).astype("float32")
        y = (x[:, 0] - x[:, 1] > 0).astype("float32")
        linear = sagemaker.LinearLearner(
            role, 1, "ml.m5.xlarge", predictor_type="binary_classifier", epochs=5, mini_batch_size=50, sagemaker_session=session
        )
        records = [linear.record_set(x[:300], y[:300]), linear.record_set(x[300:], y[300:], channel="validation")]
        tuner = HyperparameterTuner(
            linear, "validation:binary_classification_accuracy", {"learning_rate": ContinuousParameter(0.05, 0.5)},
            max_jobs=2, max_parallel_jobs=2,
        )
        tuner.fit(records, mini_batch_size=50)
        knn = sagemaker.KNN(role, 1, "ml.m5.xlarge", k=5, sample_size=300, predictor_type="classifier", sagemaker_session=session)
        near = HyperparameterTuner(
            knn, "test:accuracy", {"k": IntegerParameter(1, 20)}, max_jobs=2, max_parallel_jobs=2, strategy="Random",
        )
        near.fit([knn.record_set(x[:300], y[:300]), knn.record_set(x[300:], y[300:], channel="test")], mini_batch_size=50)
        print(json.dumps([list(one.analytics().dataframe()["FinalObjectiveValue"]) for one in (tuner, near)]))
    """)
    assert [len(values) for values in found] == [2, 2]
    assert all(value > 0.85 for values in found for value in values)

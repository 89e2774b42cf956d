"""SageMaker's Python SDK, version 2: a script for PyTorch's container, tuned; its best estimator, and the table of trainings."""

import numpy as np
import sagemaker
from sagemaker.pytorch import PyTorch
from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner
from sklearn.datasets import load_digits

digits = load_digits()
np.savez("digits.npz", x=digits.data / 16, y=digits.target.astype(int))
session = sagemaker.Session()
inputs = session.upload_data(
    path="digits.npz", bucket=session.default_bucket(), key_prefix="two/digits"
)
estimator = PyTorch(
    entry_point="mnist.py",
    role="arn:aws:iam::123456789012:role/SageMaker",
    py_version="py310",
    framework_version="2.0.0",
    instance_count=1,
    instance_type="ml.c5.2xlarge",
    hyperparameters={"epochs": 3},
    sagemaker_session=session,
)
tuner = HyperparameterTuner(
    estimator,
    "average test loss",
    {"lr": ContinuousParameter(0.001, 0.1), "batch-size": CategoricalParameter([32, 64, 128])},
    [{"Name": "average test loss", "Regex": r"Test set: Average loss: ([0-9\.]+)"}],
    max_jobs=4,
    max_parallel_jobs=2,
    objective_type="Minimize",
    base_tuning_job_name="sdk2",
)
tuner.fit({"training": inputs})
table = tuner.analytics().dataframe()
print(table[["TrainingJobName", "lr", "batch-size", "FinalObjectiveValue"]])
print(tuner.best_training_job(), tuner.best_estimator().model_data)
print(tuner.latest_tuning_job.name, int((table["TrainingJobStatus"] == "Completed").sum()))

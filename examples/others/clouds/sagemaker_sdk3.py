"""SageMaker's Python SDK, version 3: a ModelTrainer, tuned; its best training, and the table of trainings."""

import shutil
from pathlib import Path

import numpy as np
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter
from sagemaker.core.resources import TrainingJob
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.train import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner
from sklearn.datasets import load_digits

Path("data").mkdir(exist_ok=True)
Path("code").mkdir(exist_ok=True)
shutil.copy("mnist.py", "code")
digits = load_digits()
np.savez("data/digits.npz", x=digits.data / 16, y=digits.target.astype(int))
session = Session()
bucket = session.default_bucket()
session.upload_data(path="data", bucket=bucket, key_prefix="three/digits")
trainer = ModelTrainer(
    training_image="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.0.0-cpu-py310",
    source_code=SourceCode(source_dir="code", entry_script="mnist.py"),
    compute=Compute(instance_type="ml.m5.xlarge", instance_count=1),
    role="arn:aws:iam::123456789012:role/SageMaker",
    sagemaker_session=session,
    base_job_name="sdk3",
    hyperparameters={"epochs": 3},
)
tuner = HyperparameterTuner(
    trainer,
    "average test loss",
    {"lr": ContinuousParameter(0.001, 0.1), "batch-size": CategoricalParameter(["32", "64"])},
    [{"Name": "average test loss", "Regex": r"Test set: Average loss: ([0-9\.]+)"}],
    objective_type="Minimize",
    max_jobs=4,
    max_parallel_jobs=2,
    base_tuning_job_name="sdk3",
)
inputs = [InputData(channel_name="training", data_source=f"s3://{bucket}/three/digits/")]
tuner.tune(inputs=inputs, wait=True)
table = tuner.analytics().dataframe()
print(table[["TrainingJobName", "lr", "batch-size", "FinalObjectiveValue"]])
best = TrainingJob.get(tuner.best_training_job(), region="us-east-1")
print(best.training_job_name, best.model_artifacts.s3_model_artifacts)
name = tuner.latest_tuning_job.hyper_parameter_tuning_job_name
print(name, int((table["TrainingJobStatus"] == "Completed").sum()))

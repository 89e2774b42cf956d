"""Amazon's own XGBoost, tuned with boto3: a job, a loop that waits for it, its best training, its model."""

import io
import tarfile
import time

import boto3
import numpy as np

BUCKET = "tuning"
ROLE = "arn:aws:iam::123456789012:role/SageMaker"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"

s3 = boto3.client("s3")
rng = np.random.default_rng(0)
features = rng.normal(size=(600, 6))
bought = (features[:, 0] - features[:, 1] + rng.normal(scale=0.5, size=600) > 0).astype(int)
table = np.column_stack([bought, features])
for channel, rows in (("train", table[:450]), ("validation", table[450:])):
    text = io.BytesIO()
    np.savetxt(text, rows, delimiter=",", fmt="%.6g")
    s3.put_object(Bucket=BUCKET, Key=f"bank/{channel}/part.csv", Body=text.getvalue())


def data(channel):
    return {
        "ChannelName": channel,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": f"s3://{BUCKET}/bank/{channel}",
                "S3DataDistributionType": "FullyReplicated",
            }
        },
        "ContentType": "csv",
        "CompressionType": "None",
    }


sagemaker = boto3.client("sagemaker")
name = "boto3-" + time.strftime("%d-%H-%M-%S", time.gmtime())
sagemaker.create_hyper_parameter_tuning_job(
    HyperParameterTuningJobName=name,
    HyperParameterTuningJobConfig={
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"MetricName": "validation:auc", "Type": "Maximize"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": {
            "ContinuousParameterRanges": [
                {"Name": "eta", "MinValue": "0.05", "MaxValue": "1"},
                {"Name": "alpha", "MinValue": "0", "MaxValue": "2"},
            ],
            "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "1", "MaxValue": "6"}],
        },
    },
    TrainingJobDefinition={
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "InputDataConfig": [data("train"), data("validation")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/bank/output"},
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": "ml.m5.xlarge",
            "VolumeSizeInGB": 10,
        },
        "RoleArn": ROLE,
        "StaticHyperParameters": {
            "eval_metric": "auc",
            "num_round": "10",
            "objective": "binary:logistic",
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    },
)
while True:
    job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    if job["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping"):
        break
    time.sleep(2)
assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
for page in sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
    HyperParameterTuningJobName=name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending"
):
    for training in page["TrainingJobSummaries"]:
        print(training["TrainingJobName"], training["TunedHyperParameters"])
best = sagemaker.describe_training_job(TrainingJobName=job["BestTrainingJob"]["TrainingJobName"])
place = best["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
model = s3.get_object(Bucket=BUCKET, Key=place)["Body"].read()
with tarfile.open(fileobj=io.BytesIO(model)) as packed:
    print("its model:", packed.getnames())
print(name, job["TrainingJobStatusCounters"]["Completed"])

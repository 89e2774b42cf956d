"""boto3, unchanged, tunes and trains by the service; which is killed."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.service.sagemaker.clients import (
    KEY,
    METRIC,
    ROLE,
    Cloud,
    config,
    definition,
    request,
    until,
)

from tunesmith.tuning.study import Study


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("cloud"))
    yield made
    made.close()


def prints(cloud: Cloud, name: str) -> bool:
    """Whether the program of some training of a tuning job has printed something."""
    with Study.open(name, storage=cloud.service.url(cloud.service.token())) as study:
        return any(trial.reports for trial in study.trials)


class TestTuning:
    def test_from_the_request_to_the_model(self, cloud: Cloud) -> None:
        """What a request says arrives at the program; what it prints is the study's; its model is where the description says."""
        source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data"}
        channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
        one = definition(InputDataConfig=[channel], StaticHyperParameters={"depth": "7"})
        how = config(Strategy="Bayesian", RandomSeed=3)
        asked = request("first", one, how, Tags=[{"Key": "team", "Value": "a"}])
        arn = cloud.client.create_hyper_parameter_tuning_job(**asked)["HyperParameterTuningJobArn"]
        assert arn == "arn:aws:sagemaker:eu-west-1:000000000000:hyper-parameter-tuning-job/first"
        shown = cloud.over("first")
        assert shown["HyperParameterTuningJobStatus"] == "Completed"
        assert shown["TrainingJobStatusCounters"]["Completed"] == 2
        assert shown["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 0}
        again = shown["TrainingJobDefinition"]
        assert again["StaticHyperParameters"]["_tuning_objective_metric"] == METRIC
        assert again["ResourceConfig"]["InstanceCount"] == 1
        best = shown["BestTrainingJob"]
        value = best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        x = float(best["TunedHyperParameters"]["x"])
        assert value == pytest.approx(x * x / 3)
        described = cloud.training(best["TrainingJobName"])
        assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Completed"
        assert described["FinalMetricDataList"][0]["MetricName"] == METRIC
        assert described["TuningJobArn"] == arn
        wanted = {"depth": "7", "_tuning_objective_metric": METRIC, **best["TunedHyperParameters"]}
        assert described["HyperParameters"] == wanted
        place = described["ModelArtifacts"]["S3ModelArtifacts"]
        with tarfile.open(cloud.bucket / place.removeprefix("s3://bucket/")) as packed:
            model = packed.extractfile("weights.json")
            assert model is not None
            assert json.load(model) == wanted
        with Study.open("first", storage=cloud.service.url(cloud.service.token())) as study:
            assert [len(trial.reports) for trial in study.trials] == [3, 3]
            assert study.best.value == value
            assert study.spec.seed == 3
        for resource in (arn, best["TrainingJobArn"]):
            tags = cloud.client.list_tags(ResourceArn=resource)["Tags"]
            assert tags == [{"Key": "team", "Value": "a"}]
        cloud.client.add_tags(ResourceArn=arn, Tags=[{"Key": "b", "Value": ""}])
        cloud.client.delete_tags(ResourceArn=arn, TagKeys=["team"])
        assert cloud.client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": ""}]

    def test_pages_and_orders(self, cloud: Cloud) -> None:
        cloud.tune("pages", definition(), config(5, 3))
        cloud.over("pages")
        paginator = cloud.client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
        pages = [
            page["TrainingJobSummaries"]
            for page in paginator.paginate(
                HyperParameterTuningJobName="pages",
                SortBy="FinalObjectiveMetricValue",
                SortOrder="Descending",
                PaginationConfig={"PageSize": 2},
            )
        ]
        assert [len(page) for page in pages] == [2, 2, 1]
        metric = "FinalHyperParameterTuningJobObjectiveMetric"
        values = [one[metric]["Value"] for page in pages for one in page]
        assert values == sorted(values, reverse=True)
        names = [one["TrainingJobName"] for one in cloud.trainings("pages", SortBy="Name")]
        assert names == sorted(names)
        listed = cloud.client.list_hyper_parameter_tuning_jobs(
            NameContains="age", StatusEquals="Completed", SortBy="Name"
        )["HyperParameterTuningJobSummaries"]
        assert [one["HyperParameterTuningJobName"] for one in listed] == ["pages"]
        assert listed[0]["Strategy"] == "Random"

    def test_it_is_stopped(self, cloud: Cloud) -> None:
        """Running trainings end with SIGTERM and keep what they have; no new ones begin."""
        cloud.tune("stops", definition(StaticHyperParameters={"waits": "1"}))
        until(lambda: prints(cloud, "stops"))
        cloud.client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stops")
        assert cloud.over("stops")["HyperParameterTuningJobStatus"] == "Stopped"
        trainings = cloud.trainings("stops")
        assert {one["TrainingJobStatus"] for one in trainings} == {"Stopped"}
        assert all("TrainingEndTime" in one for one in trainings)
        with pytest.raises(ClientError, match="Stopped"):
            cloud.client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stops")

    def test_one_of_its_trainings_is_stopped(self, cloud: Cloud) -> None:
        """It counts with what it has printed."""
        cloud.tune("one", definition(StaticHyperParameters={"waits": "1"}), config(1, 1))
        until(lambda: prints(cloud, "one"))
        name = cloud.trainings("one")[0]["TrainingJobName"]
        cloud.client.stop_training_job(TrainingJobName=name)
        shown = cloud.over("one")
        assert shown["HyperParameterTuningJobStatus"] == "Completed"
        assert shown["TrainingJobStatusCounters"]["Stopped"] == 1
        only = cloud.trainings("one", StatusEquals="Stopped")[0]
        assert only["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 5.0
        assert cloud.training(name)["SecondaryStatus"] == "Stopped"

    def test_all_its_trainings_fail(self, cloud: Cloud) -> None:
        """So does the job, and says why."""
        cloud.tune("fails", definition(StaticHyperParameters={"fails": "1"}))
        shown = cloud.over("fails")
        assert shown["TrainingJobStatusCounters"]["NonRetryableError"] == 2
        only = cloud.trainings("fails")[0]
        assert only["FailureReason"] == "AlgorithmError: no such luck, exit code 3"
        assert only["ObjectiveStatus"] == "Failed"
        assert cloud.training(only["TrainingJobName"])["FailureReason"] == only["FailureReason"]
        assert shown["HyperParameterTuningJobStatus"] == "Failed"
        assert "no such luck" in shown["FailureReason"]

    def test_a_limit_of_time_for_each(self, cloud: Cloud) -> None:
        one = definition(
            StaticHyperParameters={"waits": "1"}, StoppingCondition={"MaxRuntimeInSeconds": 1}
        )
        cloud.tune("slow", one, config(1, 1))
        cloud.over("slow")
        described = cloud.training(cloud.trainings("slow")[0]["TrainingJobName"])
        assert described["TrainingJobStatus"] == "Stopped"
        assert described["SecondaryStatus"] == "MaxRuntimeExceeded"

    def test_names_are_used_once_until_they_are_deleted(self, cloud: Cloud) -> None:
        cloud.tune("again")
        with pytest.raises(cloud.client.exceptions.ResourceInUse, match="again already"):
            cloud.tune("again")
        cloud.over("again")
        training = cloud.trainings("again")[0]["TrainingJobName"]
        cloud.client.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="again")
        with pytest.raises(cloud.client.exceptions.ResourceNotFound):
            cloud.described("again")
        assert cloud.training(training)["TrainingJobStatus"] == "Completed"
        cloud.tune("again")
        cloud.over("again")

    def test_the_service_is_killed(self, tmp_path: Path) -> None:
        """Tuning jobs go on, none is lost, and none is there twice."""
        cloud = Cloud(tmp_path, at_a_time=2)
        try:
            jobs = [cloud.tune(f"job-{n}", definition(), config(3, 2)) for n in range(4)]
            until(lambda: cloud.trainings(jobs[0]))
            cloud.service.stop()
            cloud.service.start()
            for job in jobs:
                shown = cloud.over(job)
                assert shown["HyperParameterTuningJobStatus"] == "Completed"
                assert shown["ObjectiveStatusCounters"]["Succeeded"] == 3
        finally:
            cloud.close()


class TestTraining:
    def test_one_of_its_own(self, cloud: Cloud) -> None:
        described = definition(HyperParameters={"x": "3"}, TrainingJobName="alone")
        arn = cloud.client.create_training_job(**described)["TrainingJobArn"]
        assert arn.endswith(":training-job/alone")
        cloud.client.get_waiter("training_job_completed_or_stopped").wait(
            TrainingJobName="alone", WaiterConfig={"Delay": 1, "MaxAttempts": 100}
        )
        shown = cloud.training("alone")
        assert shown["TrainingJobStatus"] == "Completed"
        assert shown["FinalMetricDataList"][0]["Value"] == pytest.approx(3.0)
        assert (cloud.bucket / "out/alone/output/model.tar.gz").is_file()
        listed = cloud.client.list_training_jobs(NameContains="alon")["TrainingJobSummaries"]
        assert [one["TrainingJobName"] for one in listed] == ["alone"]
        with pytest.raises(cloud.client.exceptions.ResourceInUse):
            cloud.client.create_training_job(**described)

    @pytest.mark.parametrize(
        ("image", "member"),
        [("local/train", "ContainerEntrypoint"), ("x/script:1", "ContainerArguments")],
    )
    def test_words_that_are_no_clients_to_say(self, cloud: Cloud, image: str, member: str) -> None:
        described = definition(TrainingJobName="worded")
        described["AlgorithmSpecification"] |= {"TrainingImage": image, member: ["a"]}
        with pytest.raises(ClientError, match=f"{member}: "):
            cloud.client.create_training_job(**described)

    def test_it_fails_and_it_stops(self, cloud: Cloud) -> None:
        for name in ("fails", "waits"):
            described = definition(HyperParameters={name: "1"}, TrainingJobName=f"it-{name}")
            cloud.client.create_training_job(**described)
        until(lambda: cloud.training("it-fails")["TrainingJobStatus"] == "Failed")
        assert "no such luck" in cloud.training("it-fails")["FailureReason"]
        cloud.client.stop_training_job(TrainingJobName="it-waits")
        until(lambda: cloud.training("it-waits")["TrainingJobStatus"] == "Stopped")


class TestWhoMay:
    def test_keys(self, cloud: Cloud) -> None:
        with pytest.raises(ClientError, match="InvalidSignature"):
            cloud.as_key(secret="another" * 5).list_training_jobs()
        with pytest.raises(ClientError, match="UnrecognizedClient"):
            cloud.as_key(key=KEY + "X").list_training_jobs()

    def test_rights_are_those_of_the_token(self, tmp_path: Path) -> None:
        cloud = Cloud(tmp_path)
        try:
            cloud.service.tokens.revoke("ana")
            with pytest.raises(ClientError, match="not valid"):
                cloud.client.list_training_jobs()
            cloud.service.tokens.create("ana", "read")
            assert cloud.client.list_training_jobs()["TrainingJobSummaries"] == []
            with pytest.raises(ClientError, match="AccessDenied"):
                cloud.tune("no")
            cloud.service.tokens.create("ana", "submit", studies=("other",))
            with pytest.raises(ClientError, match="AccessDenied"):
                cloud.tune("no")
        finally:
            cloud.close()

    def test_what_is_no_role(self, cloud: Cloud) -> None:
        with pytest.raises(ClientError, match="RoleArn"):
            cloud.tune("no", definition(RoleArn=ROLE.replace("iam", "s3")))


class TestSeveral:
    def test_warm_start(self, cloud: Cloud) -> None:
        """What a parent has found is what the child begins with; its metric definitions need not be there again."""
        cloud.tune("parent", definition(), config(3, 3))
        bare = definition()
        bare["AlgorithmSpecification"]["MetricDefinitions"] = []
        parents = [{"HyperParameterTuningJobName": "parent"}]
        start = {
            "ParentHyperParameterTuningJobs": parents,
            "WarmStartType": "IdenticalDataAndAlgorithm",
        }
        if cloud.described("parent")["HyperParameterTuningJobStatus"] == "InProgress":
            with pytest.raises(ClientError, match="is over"):
                cloud.tune("early", bare, config(), WarmStartConfig=start)
        best = cloud.over("parent")["BestTrainingJob"]
        cloud.tune("child", bare, config(1, 1, Strategy="Bayesian"), WarmStartConfig=start)
        shown = cloud.over("child")
        assert shown["HyperParameterTuningJobStatus"] == "Completed"
        metric = "FinalHyperParameterTuningJobObjectiveMetric"
        values = [one[metric]["Value"] for one in (best, shown["BestTrainingJob"])]
        assert shown["OverallBestTrainingJob"][metric]["Value"] == min(values)
        with Study.open("child", storage=cloud.service.url(cloud.service.token())) as study:
            assert [len(past.configs) for past in study.spec.past] == [3]

    def test_a_parents_name_is_taken_again_by_its_grandchild(self, cloud: Cloud) -> None:
        """Its parents are those that were there before it."""

        def start(name: str) -> dict[str, object]:
            return {
                "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": name}],
                "WarmStartType": "IdenticalDataAndAlgorithm",
            }

        how = config(1, 1)
        cloud.tune("circle", definition(), how)
        cloud.over("circle")
        cloud.tune("between", definition(), how, WarmStartConfig=start("circle"))
        cloud.over("between")
        cloud.client.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="circle")
        cloud.tune("circle", definition(), how, WarmStartConfig=start("between"))
        metric = "FinalHyperParameterTuningJobObjectiveMetric"
        shown = cloud.over("circle")
        others = cloud.over("between")
        assert "OverallBestTrainingJob" not in others
        values = [one["BestTrainingJob"][metric]["Value"] for one in (shown, others)]
        assert shown["OverallBestTrainingJob"][metric]["Value"] == min(values)

    def test_several_definitions(self, cloud: Cloud) -> None:
        """One study with a choice between them: each has its hyperparameters, and its way to print."""
        ranges = config()["ParameterRanges"]
        objective = config()["HyperParameterTuningJobObjective"]
        several = [
            definition(DefinitionName=name, TuningObjective=objective, HyperParameterRanges=ranges)
            for name in ("first", "second")
        ]
        how = config(4, 2, Strategy="Bayesian")
        del how["HyperParameterTuningJobObjective"], how["ParameterRanges"]
        cloud.client.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName="several",
            HyperParameterTuningJobConfig=how,
            TrainingJobDefinitions=several,
        )
        shown = cloud.over("several")
        assert shown["ObjectiveStatusCounters"]["Succeeded"] == 4
        assert len(shown["TrainingJobDefinitions"]) == 2
        trainings = cloud.trainings("several")
        assert {one["TrainingJobDefinitionName"] for one in trainings} == {"first", "second"}
        assert all(list(one["TunedHyperParameters"]) == ["x"] for one in trainings)

    def test_a_single_definition_with_a_name(self, cloud: Cloud) -> None:
        how = config(trials=1)
        objective = how.pop("HyperParameterTuningJobObjective")
        ranges = how.pop("ParameterRanges")
        one = definition(DefinitionName="x", TuningObjective=objective, HyperParameterRanges=ranges)
        cloud.client.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName="single",
            HyperParameterTuningJobConfig=how,
            TrainingJobDefinitions=[one],
        )
        assert cloud.over("single")["HyperParameterTuningJobStatus"] == "Completed"
        (training,) = cloud.trainings("single")
        assert training["TrainingJobDefinitionName"] == "x"

    def test_grid(self, cloud: Cloud) -> None:
        """It tries every combination, and needs no number."""
        values = [{"Name": "x", "Values": ["1", "2", "3"]}, {"Name": "y", "Values": ["a", "b"]}]
        how = config(Strategy="Grid", ParameterRanges={"CategoricalParameterRanges": values})
        del how["ResourceLimits"]["MaxNumberOfTrainingJobs"]
        cloud.tune("grid", definition(), how)
        shown = cloud.over("grid")
        assert shown["HyperParameterTuningJobStatus"] == "Completed"
        assert shown["TrainingJobStatusCounters"]["Completed"] == 6
        tuned = {tuple(one["TunedHyperParameters"].values()) for one in cloud.trainings("grid")}
        assert len(tuned) == 6


def test_search(cloud: Cloud) -> None:
    """What the SDK looks for, and the rest of expressions: filters, nested ones, and, or, orders, pages."""
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data"}
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
    one = definition(InputDataConfig=[channel], StaticHyperParameters={"seek": "7"})
    cloud.tune("sought", one, config(3, 3), Tags=[{"Key": "team", "Value": "search"}])
    cloud.over("sought")
    best = cloud.trainings("sought", SortBy="FinalObjectiveMetricValue")[0]
    place = cloud.training(best["TrainingJobName"])["ModelArtifacts"]["S3ModelArtifacts"]
    value = best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]

    def names(*filters: tuple[str, ...], **more: Any) -> list[str]:
        keys = ("Name", "Operator", "Value")
        expression = {"Filters": [dict(zip(keys, one, strict=False)) for one in filters], **more}
        found = cloud.client.search(
            Resource="TrainingJob",
            SearchExpression=expression,
            SortBy=f"Metrics.{METRIC}",
            SortOrder="Ascending",
        )
        assert found["TotalHits"]["Value"] == len(found["Results"])
        return [one["TrainingJob"]["TrainingJobName"] for one in found["Results"]]

    seek = ("HyperParameters.seek", "Equals", "7")
    assert names(("ModelArtifacts.S3ModelArtifacts", "Equals", place)) == [best["TrainingJobName"]]
    ordered = cloud.trainings("sought", SortBy="FinalObjectiveMetricValue")
    assert names(seek) == [one["TrainingJobName"] for one in ordered]
    assert (
        len(
            names(
                ("Tags.team", "Equals", "search"), ("TrainingJobStatus", "In", "Failed, Completed")
            )
        )
        == 3
    )
    assert len(names(seek, (f"Metrics.{METRIC}", "GreaterThan", repr(value)))) == 2
    assert names(seek, ("CreationTime", "LessThan", "2020-01-01T00:00:00Z")) == []
    assert names(seek, ("FailureReason", "Exists")) == []
    assert (
        len(
            names(
                ("HyperParameters.seek", "Equals", "8"),
                SubExpressions=[{"Filters": [{"Name": "Tags.team", "Value": "search"}]}],
                Operator="Or",
            )
        )
        == 3
    )
    nested = {
        "NestedPropertyName": "InputDataConfig",
        "Filters": [{"Name": "InputDataConfig.DataSource.S3DataSource.S3Uri", "Operator": "Contains", "Value": "bucket/data"}],
    }  # fmt: skip
    assert len(names(seek, NestedFilters=[nested])) == 3
    with pytest.raises(ClientError, match="numbers and times"):
        names(seek, (f"Metrics.{METRIC}", "LessThan", "many"))
    pages = cloud.client.get_paginator("search").paginate(
        Resource="HyperParameterTuningJob", PaginationConfig={"PageSize": 1}
    )
    found = [one["HyperParameterTuningJob"] for page in pages for one in page["Results"]]
    assert "sought" in [one["HyperParameterTuningJobName"] for one in found]
    times = [one["LastModifiedTime"] for one in found]
    assert times == sorted(times, reverse=True)
    assert cloud.client.search(Resource="ModelCard")["Results"] == []


def test_xgboost_direct_marketing(cloud: Cloud) -> None:
    """The notebook's request, by boto3: its image needs no entry, its metrics no definition, and two machines are one."""
    rows = "\n".join(f"{int(n % 7 > 3)},{n % 7},{n % 3}" for n in range(60))
    for channel in ("train", "validation"):
        (cloud.bucket / "direct" / channel).mkdir(parents=True)
        (cloud.bucket / "direct" / channel / f"{channel}.csv").write_text(rows)
    bounds = {"eta": (0, 1), "min_child_weight": (1, 10), "alpha": (0, 2)}
    how = {
        "ParameterRanges": {
            "CategoricalParameterRanges": [],
            "ContinuousParameterRanges": [
                {"Name": name, "MinValue": str(low), "MaxValue": str(high)}
                for name, (low, high) in bounds.items()
            ],
            "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "1", "MaxValue": "10"}],
        },
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 3},
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"MetricName": "validation:auc", "Type": "Maximize"},
    }
    one = {
        "AlgorithmSpecification": {
            "TrainingImage": "811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest",
            "TrainingInputMode": "File",
        },
        "InputDataConfig": [
            {
                "ChannelName": name,
                "CompressionType": "None",
                "ContentType": "csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataDistributionType": "FullyReplicated",
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://bucket/direct/{name}",
                    }
                },
            }
            for name in ("train", "validation")
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/direct/output"},
        "ResourceConfig": {
            "InstanceCount": 2, "InstanceType": "ml.c4.2xlarge", "VolumeSizeInGB": 10,
        },
        "RoleArn": ROLE,
        "StaticHyperParameters": {
            "eval_metric": "auc", "num_round": "5", "objective": "binary:logistic", "rate_drop": "0.3",
            "tweedie_variance_power": "1.4",
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 43200},
    }  # fmt: skip
    cloud.tune("direct", one, how)
    shown = cloud.over("direct")
    assert shown["TrainingJobStatusCounters"]["Completed"] == 3
    best = shown["BestTrainingJob"]
    assert set(best["TunedHyperParameters"]) == {*bounds, "max_depth"}
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] > 0.9
    place = cloud.training(best["TrainingJobName"])["ModelArtifacts"]["S3ModelArtifacts"]
    with tarfile.open(cloud.bucket / place.removeprefix("s3://bucket/")) as packed:
        assert packed.getnames() == ["xgboost-model"]

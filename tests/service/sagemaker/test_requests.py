"""What requests say: each member has its effect, or is refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.service.sagemaker.clients import METRIC, config, definition, request

from tunesmith.core.errors import StudyError
from tunesmith.core.space.space import Space
from tunesmith.service.sagemaker import images, search, shapes, tuning
from tunesmith.service.sagemaker.configuration import Configuration, Image, load
from tunesmith.service.sagemaker.images import first_group
from tunesmith.service.sagemaker.protocol import Fault, decode
from tunesmith.tuning.spec import make_spec

CONFIGURATION = Configuration(
    keys={},
    images={"local/train": Image(command=["true"])},
    buckets={"bucket": "/data"},
    parallel=9,
)


def study(**more: Any) -> tuning.Study:
    """The study of a request, read as a service reads it, and legal as one."""
    asked = decode(json.dumps(request(**more)).encode(), shapes.CreateTuning)
    made = tuning.study_of(asked, CONFIGURATION, {})
    job = made.job
    make_spec(
        Space.from_dict(job["space"]),
        name="job",
        metric=job["objective"]["metric"],
        goal=job["objective"]["goal"],
        searcher=job["searcher"],
        scheduler=job.get("scheduler"),
        limits=job["limits"],
    )
    return made


def ranges(kind: str, *described: dict[str, Any]) -> dict[str, Any]:
    return config(ParameterRanges={f"{kind}ParameterRanges": list(described)})


def continuous(low: str, high: str, scaling: str = "Auto") -> dict[str, Any]:
    one = {"Name": "x", "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    return ranges("Continuous", one)


def integer(low: str, high: str, scaling: str = "Auto") -> dict[str, Any]:
    one = {"Name": "x", "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    return ranges("Integer", one)


class TestSpace:
    @pytest.mark.parametrize(
        ("how", "parameter"),
        [
            (continuous("0.5", "2"), {"float": [0.5, 2.0]}),
            (continuous("1e-5", "0.1"), {"float": [1e-5, 0.1], "log": True}),
            (continuous("1e-5", "0.1", "Linear"), {"float": [1e-5, 0.1]}),
            (continuous("1", "2", "Logarithmic"), {"float": [1.0, 2.0], "log": True}),
            (
                continuous("0", "0.999", "ReverseLogarithmic"),
                {"float": [0.0, 0.999], "log": "reverse"},
            ),
            (integer("1", "1000"), {"int": [1, 1000], "log": True}),
            (integer("-5", "5"), {"int": [-5, 5]}),
            (ranges("Categorical", {"Name": "x", "Values": ["1", "a"]}), {"choice": ["1", "a"]}),
        ],
    )
    def test_scales(self, how: dict[str, Any], parameter: dict[str, Any]) -> None:
        assert study(how=how).job["space"] == {"x": parameter}

    @pytest.mark.parametrize(
        ("how", "why"),
        [
            (continuous("2", "1"), "MinValue"),
            (continuous("nan", "1"), "finite"),
            (continuous("1_0", "20"), "finite"),
            (continuous("0", "1", "Logarithmic"), "above 0"),
            (continuous("0", "1", "ReverseLogarithmic"), "below 1"),
            (integer("1", "2.5"), "whole"),
            (integer("0", "1", "ReverseLogarithmic"), "continuous"),
            (integer("0", "9007199254740993"), "2\\^53"),
            (ranges("Categorical", {"Name": "x", "Values": ["a", "a"]}), "twice"),
            (ranges("Auto", {"Name": "x", "ValueHint": "1"}), "Autotune|unknown"),
            (config(ParameterRanges={}), "no hyperparameter"),
            (config(Strategy="Grid"), "Categorical"),
            (config(Strategy="Hyperband"), "MaxResource"),
            (config(10, 10), "9 at most"),
            (config(HyperParameterTuningJobObjective=None), "Objective"),
        ],
    )
    def test_what_is_none(self, how: dict[str, Any], why: str) -> None:
        with pytest.raises(Fault, match=why):
            study(how={key: value for key, value in how.items() if value is not None})

    def test_any_name(self) -> None:
        """Names that a study cannot have stand for those of the program."""
        names = ["learning-rate", "learning_rate", "2d", "require", "a b", "\u00e4"]
        made = study(how=ranges("Categorical", *({"Name": n, "Values": ["1", "2"]} for n in names)))
        assert list(made.trainings[""].parameters.values()) == names

    def test_hints(self) -> None:
        hints = {"lr": "0.01", "depth": "6", "rate": "0.5", "flag": "true", "none": "0"}
        auto = [{"Name": name, "ValueHint": hint} for name, hint in hints.items()]
        how = config(ParameterRanges={"AutoParameters": auto})
        del how["ResourceLimits"]["MaxNumberOfTrainingJobs"]
        made = study(how=how, Autotune={"Mode": "Enabled"})
        assert made.job["space"]["lr"] == {"float": [0.001, 0.1], "log": True}
        assert made.job["space"]["depth"] == {"int": [1, 60], "log": True}
        assert made.job["space"]["rate"] == {"float": [0.05, 1.0], "log": True}
        assert made.job["space"]["flag"] == {"choice": ["true", "false"]}
        assert made.job["limits"]["trials"] == 50
        assert made.job["limits"]["least_gain"] == "noise"
        assert made.job["scheduler"] == "median"

    def test_several_definitions(self) -> None:
        """One conditional study; the metric of each is its own."""

        def one(name: str, metric: str) -> dict[str, Any]:
            made = definition(
                DefinitionName=name,
                TuningObjective={"Type": "Minimize", "MetricName": metric},
                HyperParameterRanges=continuous("0", "1")["ParameterRanges"],
            )
            algorithm = made["AlgorithmSpecification"]
            algorithm["MetricDefinitions"] = [{"Name": metric, "Regex": f"{metric}=(.*)"}]
            return made

        how = config()
        del how["HyperParameterTuningJobObjective"], how["ParameterRanges"]
        asked = request(how=how, TrainingJobDefinitions=[one("a", "loss"), one("b-1", "error")])
        del asked["TrainingJobDefinition"]
        made = tuning.study_of(
            decode(json.dumps(asked).encode(), shapes.CreateTuning), CONFIGURATION, {}
        )
        assert made.job["objective"] == {"metric": tuning.COMMON, "goal": "minimize"}
        space = Space.from_dict(made.job["space"])
        assert list(space) == ["definition", "a.x", "b_1.x"]
        assert made.trainings["b-1"].parameters == {"b_1.x": "x"}
        assert made.trainings["b-1"].metric == "error"


class TestLimits:
    def test_all(self) -> None:
        done = {
            "TargetObjectiveMetricValue": 0.5,
            "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 7},
            "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
        }
        how = config(20, 3, TuningJobCompletionCriteria=done, TrainingJobEarlyStoppingType="Auto")
        how["ResourceLimits"]["MaxRuntimeInSeconds"] = 600
        made = study(one=definition(RetryStrategy={"MaximumRetryAttempts": 9}), how=how)
        assert made.job["limits"] == {
            "trials": 20, "parallel": 3, "time": 600, "target": 0.5, "no_improvement": 7, "least_gain": "noise",
            "retries": 9, "grace": tuning.GRACE_S, "trial_silence": "off",
        }  # fmt: skip
        assert made.job["scheduler"] == "median"

    def test_hyperband_infers_the_longest_run(self) -> None:
        static = {"StaticHyperParameters": {"epochs": "81"}}
        made = study(one=definition(**static), how=config(Strategy="Hyperband"))
        assert made.job["scheduler"] == {"asha": {"max": 81, "min": 3, "brackets": 3}}
        assert made.trainings[""].most_steps == 81
        given = {"HyperbandStrategyConfig": {"MinResource": 2, "MaxResource": 10}}
        made = study(
            one=definition(**static), how=config(Strategy="Hyperband", StrategyConfig=given)
        )
        assert made.job["scheduler"] == {"asha": {"max": 10, "min": 2, "brackets": 2}}
        early = config(Strategy="Hyperband", TrainingJobEarlyStoppingType="Auto")
        with pytest.raises(Fault, match="Off with Hyperband"):
            study(one=definition(**static), how=early)

    def test_grid_needs_no_number(self) -> None:
        how = ranges("Categorical", {"Name": "x", "Values": ["1", "2"]}) | {"Strategy": "Grid"}
        del how["ResourceLimits"]["MaxNumberOfTrainingJobs"]
        assert study(how=how).job["searcher"] == "grid"
        how["Strategy"] = "Random"
        with pytest.raises(Fault, match="nothing would end"):
            study(how=how)


class TestDefinitions:
    @pytest.mark.parametrize(
        ("more", "why"),
        [
            ({"OutputDataConfig": {"S3OutputPath": "s3://elsewhere/x"}}, "no bucket 'elsewhere'"),
            ({"OutputDataConfig": {"S3OutputPath": "https://bucket/x"}}, "only s3"),
            ({"OutputDataConfig": {"S3OutputPath": "s3://bucket/../x"}}, "names no object"),
            ({"OutputDataConfig": {"S3OutputPath": "s3://bucket/x", "KmsKeyId": "k"}}, "KmsKeyId"),
            ({"VpcConfig": {"SecurityGroupIds": ["a"], "Subnets": ["b"]}}, "VpcConfig"),
            ({"EnableNetworkIsolation": True}, "EnableNetworkIsolation"),
            ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds"),
            ({"StoppingCondition": {"MaxWaitTimeInSeconds": 5}}, "Spot"),
            ({"ResourceConfig": {"InstanceCount": 2}}, "one machine"),
            ({"CheckpointConfig": {"S3Uri": "s3://bucket/c", "LocalPath": "/tmp"}}, "LocalPath"),
            ({"StaticHyperParameters": {"x": "1"}}, "static and to be tuned"),
            ({"Environment": {"1A": "x"}}, "regex"),
            ({"Unheard": {}}, "unknown field"),
        ],
    )
    def test_what_cannot_be_had(self, more: dict[str, Any], why: str) -> None:
        with pytest.raises(Fault, match=why):
            study(one=definition(**more))

    def test_what_looks_into_a_training(self) -> None:
        for more in (
            {"TensorBoardOutputConfig": {"S3OutputPath": "s3://bucket/t"}},
            {"RemoteDebugConfig": {"EnableRemoteDebug": True}},
        ):
            body = json.dumps(definition(TrainingJobName="a", **more)).encode()
            asked = decode(body, shapes.CreateTraining)
            with pytest.raises(Fault, match="remote debugging"):
                images.training(asked, {}, None, CONFIGURATION)

    def test_machines_that_share_the_work(self) -> None:
        """Those of an algorithm of ours are one: the result is the same. Those of a program are what an operator says."""
        one = definition(ResourceConfig={"InstanceCount": 2, "InstanceType": "ml.c4.2xlarge"})
        configuration = msgspec.structs.replace(CONFIGURATION, ignore=["instances"])
        for image, known in (("local/train", configuration), ("1.dkr/xgboost:1", CONFIGURATION)):
            one["AlgorithmSpecification"]["TrainingImage"] = image
            asked = decode(json.dumps(request(one=one)).encode(), shapes.CreateTuning)
            made = tuning.study_of(asked, known, {})
            assert made.trainings[""].resources["InstanceCount"] == 2

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda a: a.update(TrainingImage="nobody/knows:1"), "stands for the image"),
            (lambda a: a.update(TrainingInputMode="Pipe"), "Pipe"),
            (lambda a: a.update(MetricDefinitions=[]), "A metric is required"),
            (lambda a: a.update(MetricDefinitions=[{"Name": METRIC, "Regex": "x="}]), "group"),
            (lambda a: a.update(MetricDefinitions=[{"Name": METRIC, "Regex": "("}]), "regular"),
            (lambda a: a.update(AlgorithmName="a"), "marketplace"),
        ],
    )
    def test_algorithms(self, change: Callable[[dict[str, Any]], None], why: str) -> None:
        one = definition()
        change(one["AlgorithmSpecification"])
        with pytest.raises(Fault, match=why):
            study(one=one)

    @pytest.mark.parametrize(
        ("text", "same"),
        [
            ("a=(.*)", "a=(.*)"),
            ("a=(.*) (b)", "a=(?P<value>.*) (b)"),
            (r"\(a\)=([(\d]+) (?:x)", r"\(a\)=([(\d]+) (?:x)"),
            ("[](](a)(b)", "[](](?P<value>a)(b)"),
        ],
    )
    def test_the_first_group_has_the_value(self, text: str, same: str) -> None:
        assert first_group(text) == same


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b'{"HyperParameterTuningJobName": NaN}',
            b'{"CreationTimeAfter": 1e999}',
            rb'{"NameContains": "\ud800"}',
            b"\xff\xfe",
            b"[1]",
            b'{"MaxResults": 101}',
            b'{"MaxResults": 1.5}',
            b"[" * 100_000,
            b'{"NameContains": "a b"}',
        ],
    )
    def test_what_is_none(self, body: bytes) -> None:
        with pytest.raises(Fault) as caught:
            decode(body, shapes.ListTuning)
        assert caught.value.answer.status_code == 400


class TestConfiguration:
    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("keys: {a: {secret: short, token: b}}", "16"),
            ("keys: {}\nimages: {a: {}}", "exactly one"),
            ("keys: {}\nimages: {a: {script: b, gpus: 1}}", "gpus"),
            ("keys: {}\nbuckets: {a: relative}", "whole path"),
            ("keys: {}\nunheard: 1", "unheard"),
            ("keys: {}\nexecutor: kubernetes", "kubernetes"),
            ("keys: {}\nexecutor: {ray: {adress: a}}", "address"),
            ("keys: {}\nresources: {cpu: 2}", "parallel"),
            ("keys: {}\nexecutor: ray\nresources: {cpus: 2}", "cpu"),
            ("keys: [", "sagemaker"),
        ],
    )
    def test_what_is_wrong(self, text: str, why: str, tmp_path: Path) -> None:
        path = tmp_path / "c.yaml"
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(StudyError, match=why):
            load(path)

    def test_others_may_not_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "c.yaml"
        path.write_text("keys: {}")
        path.chmod(0o644)
        with pytest.raises(StudyError, match="chmod 600"):
            load(path)


@pytest.mark.parametrize("nested", ["FinalMetricDataList", "Names"])
def test_a_search_for_what_items_do_not_have(nested: str) -> None:
    """Items of a list have no tags, and may be no objects."""
    described = {"Tags": [], "Names": ["a"], "FinalMetricDataList": [{"MetricName": "m", "Value": 1.0}]}  # fmt: skip
    asked = {
        "NestedPropertyName": nested,
        "Filters": [{"Name": f"{nested}.Tags.x", "Operator": "Equals", "Value": "y"}],
    }
    body = json.dumps({"NestedFilters": [asked]}).encode()
    assert not search.fits(decode(body, shapes.Expression), described)


def linear(tuned: str, **static: str) -> tuning.Study:
    """A request for SageMaker's linear learner."""
    algorithm = {
        "TrainingImage": "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1",
        "TrainingInputMode": "File",
    }
    described = {"Name": tuned, "MinValue": "0.1", "MaxValue": "0.2"}
    objective = {"Type": "Minimize", "MetricName": "validation:objective_loss"}
    return study(
        one=definition(AlgorithmSpecification=algorithm, StaticHyperParameters=static),
        how={**ranges("Continuous", described), "HyperParameterTuningJobObjective": objective},
    )


def test_hyperparameters_of_the_built_in_algorithms() -> None:
    """What would be tuned and changes nothing would look like a result."""
    made = linear("learning_rate", predictor_type="regressor", num_models="32", feature_dim="5")
    assert list(made.job["space"]) == ["learning_rate"]
    with pytest.raises(Fault, match="target_recall has no effect on linear_learner here"):
        linear("target_recall", predictor_type="regressor")
    with pytest.raises(Fault, match="no hyperparameter 'learnin_rate'; did you mean"):
        linear("learnin_rate", predictor_type="regressor")
    with pytest.raises(Fault, match="no hyperparameter 'predictor'"):
        linear("wd", predictor="regressor")

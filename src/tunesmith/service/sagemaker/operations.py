"""SageMaker's operations, by name: a request's shape and who asks in, an answer's data out. They block."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from tunesmith.service.sagemaker import answers, logs, names, search, shapes
from tunesmith.service.sagemaker.desk import Desk
from tunesmith.service.sagemaker.listing import page, page_of_numbers, within
from tunesmith.service.sagemaker.protocol import Fault, decode, invalid
from tunesmith.service.sagemaker.records import KINDS, Kind, Record, not_found
from tunesmith.service.sagemaker.standing import OVER, STATUSES, Standing
from tunesmith.service.tokens import Scope, Token


class Caller(NamedTuple):
    """Who asks, and in which region its client is."""

    token: Token
    region: str


class Operation(NamedTuple):
    shape: Any
    scope: Scope
    call: Callable[[Any, Caller, dict[str, Any]], dict[str, Any] | None]


class Operations:
    """What clients may ask for, on the jobs of a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._by_name: Final[Mapping[str, Operation]] = {
            "CreateHyperParameterTuningJob": Operation(
                shapes.CreateTuning, "submit", self._create_tuning
            ),
            "DescribeHyperParameterTuningJob": Operation(
                shapes.TuningJob, "read", self._describe_tuning
            ),
            "ListHyperParameterTuningJobs": Operation(shapes.ListTuning, "read", self._list_tuning),
            "ListTrainingJobsForHyperParameterTuningJob": Operation(
                shapes.ListOfTuning, "read", self._list_of_tuning
            ),
            "StopHyperParameterTuningJob": Operation(
                shapes.TuningJob, "control", self._stop_tuning
            ),
            "DeleteHyperParameterTuningJob": Operation(
                shapes.TuningJob, "submit", self._delete_tuning
            ),
            "CreateTrainingJob": Operation(shapes.CreateTraining, "submit", self._create_training),
            "DescribeTrainingJob": Operation(shapes.TrainingJob, "read", self._describe_training),
            "ListTrainingJobs": Operation(shapes.ListTraining, "read", self._list_training),
            "StopTrainingJob": Operation(shapes.TrainingJob, "control", self._stop_training),
            "Search": Operation(shapes.Search, "read", self._search),
            "AddTags": Operation(shapes.AddTags, "control", self._add_tags),
            "ListTags": Operation(shapes.ListTags, "read", self._list_tags),
            "DeleteTags": Operation(shapes.DeleteTags, "control", self._delete_tags),
            "DescribeLogStreams": Operation(logs.Streams, "read", self._log_streams),
            "GetLogEvents": Operation(logs.Events, "read", self._log_events),
        }

    def named(self, name: str) -> Operation:
        """Raises Fault."""
        operation = self._by_name.get(name)
        if operation is None:
            raise Fault(
                "UnknownOperationException",
                f"{name[:100]!r} is not served here; known are {', '.join(sorted(self._by_name))}",
            )
        return operation

    # -- tuning jobs ----------------------------------------------------------------------------

    def _create_tuning(
        self, asked: shapes.CreateTuning, caller: Caller, raw: dict[str, Any]
    ) -> dict[str, Any]:
        record = self._desk.create_tuning(asked, raw, caller.token, caller.region)
        return {"HyperParameterTuningJobArn": self._arn(names.TUNING, record)}

    def _describe_tuning(self, asked: shapes.TuningJob, caller: Caller, _: Any) -> dict[str, Any]:
        return self._described(self._seen("tuning", asked.HyperParameterTuningJobName, caller))

    def _described(self, record: Record) -> dict[str, Any]:
        overall = self._overall(record)
        return self._desk.look(
            record, lambda standing: answers.tuning(standing, _better(standing, overall))
        )

    def _overall(self, record: Record) -> list[dict[str, Any]]:
        """The best trainings of the jobs that it was started from, if their results are its own."""
        start = record.request.get("WarmStartConfig")
        if start is None or start["WarmStartType"] != "IdenticalDataAndAlgorithm":
            return []
        found = []
        for parent in start["ParentHyperParameterTuningJobs"]:
            there = self._desk.records.find(
                "tuning", parent["HyperParameterTuningJobName"], deleted=True
            )
            if there is None or there.created_at >= record.created_at:
                continue  # another one has the name of a parent that was deleted
            best = self._desk.look(there, answers.best_of)
            if best is not None:
                found.append(best)
            found += self._overall(there)
        return found

    def _list_tuning(self, asked: shapes.ListTuning, caller: Caller, _: Any) -> dict[str, Any]:
        found: list[tuple[Record, dict[str, Any]]] = []
        for record in self._desk.records.all("tuning"):
            if not caller.token.sees(record.study):
                continue
            if asked.NameContains is not None and asked.NameContains not in record.name:
                continue
            how = self._desk.summary(record)
            if within(asked, record.name, record.created_at, how["modified_at"]) and asked.StatusEquals in (
                None, how["status"],
            ):  # fmt: skip
                found.append((record, how))

        def place(one: tuple[Record, dict[str, Any]]) -> tuple[Any, ...]:
            record, how = one
            first = {
                "Name": record.name,
                "Status": how["status"],
                "CreationTime": record.created_at,
            }
            return (first[asked.SortBy], record.name)

        part, following = page(
            found,
            place,
            descending=_descending(asked, asked.SortBy != "Name"),
            after=asked.NextToken,
            limit=asked.MaxResults,
        )
        shown = [self._tuning_summary(record, how) for record, how in part]
        return _with_token({"HyperParameterTuningJobSummaries": shown}, following)

    def _tuning_summary(self, record: Record, how: dict[str, Any]) -> dict[str, Any]:
        config = record.request["HyperParameterTuningJobConfig"]
        shown = {
            "HyperParameterTuningJobName": record.name,
            "HyperParameterTuningJobArn": self._arn(names.TUNING, record),
            "HyperParameterTuningJobStatus": how["status"],
            "Strategy": config["Strategy"],
            "CreationTime": record.created_at,
            "LastModifiedTime": how["modified_at"],
            "TrainingJobStatusCounters": how["counters"],
            "ObjectiveStatusCounters": how["objectives"],
            "ResourceLimits": config["ResourceLimits"],
        }
        return shown | (
            {} if how["ended_at"] is None else {"HyperParameterTuningEndTime": how["ended_at"]}
        )

    def _list_of_tuning(self, asked: shapes.ListOfTuning, caller: Caller, _: Any) -> dict[str, Any]:
        record = self._seen("tuning", asked.HyperParameterTuningJobName, caller)
        return self._desk.look(record, lambda standing: _trainings(standing, asked))

    def _stop_tuning(self, asked: shapes.TuningJob, caller: Caller, _: Any) -> None:
        self._desk.stop_tuning(self._seen("tuning", asked.HyperParameterTuningJobName, caller))

    def _delete_tuning(self, asked: shapes.TuningJob, caller: Caller, _: Any) -> None:
        record = self._desk.records.find("tuning", asked.HyperParameterTuningJobName)
        if record is None or not caller.token.sees(record.study):
            return  # it is gone, as was asked for
        if self._desk.summary(record)["status"] not in OVER:
            raise invalid(f"{record.name} is not over; stop it first")
        self._desk.records.change(record, deleted=True)

    # -- training jobs --------------------------------------------------------------------------

    def _create_training(
        self, asked: shapes.CreateTraining, caller: Caller, raw: dict[str, Any]
    ) -> dict[str, Any]:
        if self._member(asked.TrainingJobName, caller) is not None:
            raise Fault(
                "ResourceInUse",
                f"there is a training job {asked.TrainingJobName} already; take another name",
            )
        record = self._desk.create_training(asked, raw, caller.token, caller.region)
        return {"TrainingJobArn": self._arn(names.TRAINING, record)}

    def _describe_training(
        self, asked: shapes.TrainingJob, caller: Caller, _: Any
    ) -> dict[str, Any]:
        name = asked.TrainingJobName
        member = self._member(name, caller)
        if member is not None:
            record, number = member
            return self._desk.look(record, lambda standing: answers.training(standing, number))
        record = self._seen("training", name, caller)
        return self._desk.look(
            record, lambda standing: answers.training(standing, 0 if standing.size else None)
        )

    def _list_training(self, asked: shapes.ListTraining, caller: Caller, _: Any) -> dict[str, Any]:
        if asked.WarmPoolStatusEquals is not None or asked.TrainingPlanArnEquals is not None:
            return {"TrainingJobSummaries": []}  # there are no warm pools, nor plans
        found = [
            self._desk.look(record, _alone_summary)
            for record in self._desk.records.all("training")
            if caller.token.sees(record.study)
        ]
        for record in self._desk.records.all("tuning"):
            if caller.token.sees(record.study):
                found += self._desk.look(record, _member_summaries)
        found = [
            one
            for one in found
            if within(asked, one["TrainingJobName"], one["CreationTime"], one["LastModifiedTime"])
            and asked.StatusEquals in (None, one["TrainingJobStatus"])
        ]
        key = {
            "Name": "TrainingJobName",
            "Status": "TrainingJobStatus",
            "CreationTime": "CreationTime",
        }[asked.SortBy]
        part, following = page(
            found,
            lambda one: (one[key], one["TrainingJobName"]),
            descending=_descending(asked, asked.SortBy != "Name"),
            after=asked.NextToken,
            limit=asked.MaxResults,
        )
        return _with_token({"TrainingJobSummaries": part}, following)

    def _stop_training(self, asked: shapes.TrainingJob, caller: Caller, _: Any) -> None:
        member = self._member(asked.TrainingJobName, caller)
        if member is not None:
            self._desk.stop_trial(*member)
        else:
            self._desk.stop_training(self._seen("training", asked.TrainingJobName, caller))

    def _member(self, name: str, caller: Caller) -> tuple[Record, int] | None:
        """The tuning job, and the trial, that a training's name stands for."""
        member = names.member_of(name)
        if member is None:
            return None
        record = self._desk.records.find("tuning", member.tuning, deleted=True)
        if (
            record is None
            or not names.is_member(member, record.identity)
            or not caller.token.sees(record.study)
        ):
            return None
        there = self._desk.look(record, lambda standing: member.number < standing.size)
        return (record, member.number) if there else None

    # -- search ---------------------------------------------------------------------------------

    def _search(self, asked: shapes.Search, caller: Caller, _: Any) -> dict[str, Any]:
        """Of tuning jobs and of trainings; of all else that clients may look for, there is none here."""
        found: list[tuple[str, dict[str, Any]]] = []
        if asked.Resource == "HyperParameterTuningJob":
            found = [
                (record.name, {**self._described(record), "Tags": _tags(record)})
                for record in self._desk.records.all("tuning")
                if caller.token.sees(record.study)
            ]
        elif asked.Resource == "TrainingJob":
            for kind in KINDS:
                for record in self._desk.records.all(kind):
                    if caller.token.sees(record.study):
                        every = self._desk.look(record, answers.trainings)
                        tags = _tags(record)
                        found += [(one["TrainingJobName"], {**one, "Tags": tags}) for one in every]
        hits = [one for one in found if search.fits(asked.SearchExpression, one[1])]
        part, following = page(
            hits,
            lambda one: search.place(one[1], asked.SortBy, one[0]),
            descending=_descending(asked, by_default=True),
            after=asked.NextToken,
            limit=asked.MaxResults,
        )
        shown = {
            "Results": [{asked.Resource: one} for _, one in part],
            "TotalHits": {"Value": len(hits), "Relation": "EqualTo"},
        }
        return _with_token(shown, following)

    # -- tags -----------------------------------------------------------------------------------

    def _add_tags(self, asked: shapes.AddTags, caller: Caller, _: Any) -> dict[str, Any]:
        record = self._tagged(asked.ResourceArn, caller)
        added = {tag.Key: tag.Value for tag in asked.Tags}

        def tag(now: Record) -> Record:
            tags = {**now.tags, **added}
            if len(tags) > 50:
                raise invalid("a job has 50 tags at most")
            return msgspec.structs.replace(now, tags=tags)

        return {"Tags": _tags(self._desk.records.update(record, tag))}

    def _list_tags(self, asked: shapes.ListTags, caller: Caller, _: Any) -> dict[str, Any]:
        named = names.named_by(asked.ResourceArn)
        member = self._member(named[1], caller) if named and named[0] == names.TRAINING else None
        record = self._tagged(asked.ResourceArn, caller) if member is None else member[0]
        return {"Tags": _tags(record)}  # a tuning job's are those of its trainings

    def _delete_tags(self, asked: shapes.DeleteTags, caller: Caller, _: Any) -> dict[str, Any]:
        record = self._tagged(asked.ResourceArn, caller)

        def untag(now: Record) -> Record:
            return msgspec.structs.replace(
                now,
                tags={key: value for key, value in now.tags.items() if key not in asked.TagKeys},
            )

        self._desk.records.update(record, untag)
        return {}

    def _tagged(self, arn: str, caller: Caller) -> Record:
        named = names.named_by(arn)
        if named is None:
            raise invalid(f"{arn}: tags are kept of tuning jobs and of training jobs")
        kind, name = named
        if kind == names.TRAINING and self._member(name, caller) is not None:
            raise invalid(f"{name} has the tags of its tuning job; change them there")
        return self._seen("tuning" if kind == names.TUNING else "training", name, caller)

    # -- what trainings print -------------------------------------------------------------------

    def _log_streams(self, asked: logs.Streams, caller: Caller, _: Any) -> dict[str, Any]:
        if asked.logGroupName != logs.GROUP:
            raise logs.missing("log group")
        training = asked.logStreamNamePrefix.partition("/")[0]
        return logs.streams(training, self._log(training, caller))

    def _log_events(self, asked: logs.Events, caller: Caller, _: Any) -> dict[str, Any]:
        log = self._log(logs.training_of(asked.logStreamName), caller)
        if log is None or asked.logGroupName != logs.GROUP:
            raise logs.missing("log stream")
        return logs.events(asked, log)

    def _log(self, training: str, caller: Caller) -> logs.Log | None:
        """The output of a training, if there is one that has begun."""
        record, number = self._member(training, caller) or (None, 0)
        if record is None:
            record = self._desk.records.find("training", training)
        if record is None or not caller.token.sees(record.study):
            return None
        path = self._desk.output(record, number)

        def log(standing: Standing) -> logs.Log | None:
            if standing.ledger is None or number >= standing.size:
                return None
            began = standing.ledger.trial(number).created_at
            over = STATUSES[int(standing.statuses[number])] in OVER
            return logs.Log(path, int(began * 1000), over)

        return self._desk.look(record, log)

    # -- both -----------------------------------------------------------------------------------

    def _seen(self, kind: Kind, name: str, caller: Caller) -> Record:
        record = self._desk.records.find(kind, name)
        if record is None or not caller.token.sees(record.study):
            raise not_found(kind, name)
        return record

    def _arn(self, kind: str, record: Record) -> str:
        return names.arn(kind, record.name, record.region, self._desk.configuration.account)


def _tags(record: Record) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in record.tags.items()]


def _descending(asked: Any, by_default: bool) -> bool:
    return by_default if asked.SortOrder is None else bool(asked.SortOrder == "Descending")


def _with_token(shown: dict[str, Any], token: str | None) -> dict[str, Any]:
    return shown if token is None else {**shown, "NextToken": token}


def _better(standing: Standing, others: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The best training of a job and of those that it was started from."""
    mine = answers.best_of(standing)
    metric = "FinalHyperParameterTuningJobObjectiveMetric"
    found = [one for one in (mine, *others) if one is not None and metric in one]
    if mine is None or not others or not found or standing.ledger is None:
        return None
    sign = 1.0 if standing.ledger.spec.first_objective.goal == "minimize" else -1.0
    return min(found, key=lambda one: sign * float(one[metric]["Value"]))


def _trainings(standing: Standing, asked: shapes.ListOfTuning) -> dict[str, Any]:
    """A page of a tuning job's trainings. Only those that are shown are read one by one: the order is that of arrays."""
    ledger = standing.ledger
    if ledger is None or not ledger.size:
        return {"TrainingJobSummaries": []}
    statuses = standing.statuses
    numbers = np.arange(ledger.size)
    if asked.StatusEquals is not None:
        wanted = STATUSES.index(asked.StatusEquals) if asked.StatusEquals in STATUSES else -1
        numbers = numbers[statuses == wanted]
    if asked.SortBy == "CreationTime":
        keys = ledger.column("created_at")[numbers]
    elif asked.SortBy == "Status":
        order = np.argsort(np.argsort(np.array(STATUSES)))
        keys = order[statuses[numbers]].astype(np.float64)
    elif asked.SortBy == "FinalObjectiveMetricValue":
        sign = 1.0 if ledger.spec.first_objective.goal == "minimize" else -1.0
        numbers = numbers[standing.succeeded()[numbers]]  # only those that have one, as documented
        keys = sign * ledger.column("losses")[numbers, 0] + 0.0
    else:
        keys = numbers.astype(np.float64)
    part, following = page_of_numbers(
        keys,
        numbers,
        descending=_descending(asked, by_default=False),
        after=asked.NextToken,
        limit=asked.MaxResults,
    )
    shown = [answers.summary(standing, number, int(statuses[number])) for number in part]
    return _with_token({"TrainingJobSummaries": shown}, following)


def _alone_summary(standing: Standing) -> dict[str, Any]:
    described = answers.training(standing, 0 if standing.size else None)
    wanted = (
        "TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime", "TrainingJobStatus",
        "SecondaryStatus",
    )  # fmt: skip
    return {name: described[name] for name in wanted if name in described}


def _member_summaries(standing: Standing) -> list[dict[str, Any]]:
    ledger = standing.ledger
    if ledger is None:
        return []
    record, account = standing.record, standing.plan.account
    created, ended = ledger.column("created_at").tolist(), ledger.column("ended_at").tolist()
    shown = []
    for number, status in enumerate(standing.statuses.tolist()):
        name = names.training_name(record.name, record.identity, number)
        one = {
            "TrainingJobName": name,
            "TrainingJobArn": names.arn(names.TRAINING, name, record.region, account),
            "CreationTime": created[number],
            "LastModifiedTime": created[number] if math.isnan(ended[number]) else ended[number],
            "TrainingJobStatus": STATUSES[status],
        }
        if not math.isnan(ended[number]):
            one["TrainingEndTime"] = ended[number]
        shown.append(one)
    return shown


def parse(operation: Operation, body: bytes) -> tuple[Any, dict[str, Any]]:
    """A request as its shape, and as it came. Raises Fault."""
    asked = decode(body, operation.shape)
    raw = decode(body, dict[str, Any])
    return asked, raw

"""The shapes of requests, with their lengths, patterns and words, as botocore's model of SageMaker has them.

Clients check types and required members themselves, and nothing else. What a request says has its effect or is refused: members that
are not here are unknown to this service, and an error.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

_NAME: Final = r"\A[a-zA-Z0-9](-*[a-zA-Z0-9])*\Z"
TuningName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=32, pattern=_NAME)]
TrainingName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=63, pattern=_NAME)]
Part: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, pattern=_NAME)]
Text: TypeAlias = Annotated[str, Meta(max_length=256)]
Uri: TypeAlias = Annotated[str, Meta(max_length=1024, pattern=r"\A(https|s3)://([^/]+)/?(.*)\Z")]
Role: TypeAlias = Annotated[
    str,
    Meta(
        min_length=20,
        max_length=2048,
        pattern=r"\Aarn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+\Z",
    ),
]
Metric: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A.+\Z")]
Key: TypeAlias = Annotated[str, Meta(max_length=2048, pattern=r"\A[a-zA-Z0-9:/_-]*\Z")]
Positive: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Bound: TypeAlias = Annotated[str, Meta(max_length=256)]
Scaling: TypeAlias = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]
Strategy: TypeAlias = Literal["Bayesian", "Random", "Hyperband", "Grid"]
Mode: TypeAlias = Literal["Pipe", "File", "FastFile"]
Type: TypeAlias = Literal["Maximize", "Minimize"]
TuningStatus: TypeAlias = Literal[
    "Completed", "InProgress", "Failed", "Stopped", "Stopping", "Deleting", "DeleteFailed"
]
TrainingStatus: TypeAlias = Literal[
    "InProgress", "Completed", "Failed", "Stopping", "Stopped", "Deleting"
]
Order: TypeAlias = Literal["Ascending", "Descending"]
Token: TypeAlias = Annotated[str, Meta(max_length=8192)]
Page: TypeAlias = Annotated[int, Meta(ge=1, le=100)]
Contains: TypeAlias = Annotated[str, Meta(max_length=63, pattern=r"\A[a-zA-Z0-9\-]*\Z")]
Hyperparameters: TypeAlias = Annotated[
    dict[Text, Annotated[str, Meta(max_length=2500)]], Meta(max_length=100)
]
_VARIABLE: Final = r"\A[a-zA-Z_][a-zA-Z0-9_]*\Z"
_Variable: TypeAlias = Annotated[str, Meta(max_length=512, pattern=_VARIABLE)]
_Value: TypeAlias = Annotated[str, Meta(max_length=512)]


class Shape(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A structure of a request."""


class Tag(Shape, frozen=True):
    Key: Annotated[str, Meta(min_length=1, max_length=128)]
    Value: Annotated[str, Meta(max_length=256)]


Tags: TypeAlias = Annotated[list[Tag], Meta(max_length=50)]

# -- trainings --------------------------------------------------------------------------------


class MetricDefinition(Shape, frozen=True):
    Name: Metric
    Regex: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\A.+\Z")]


class Algorithm(Shape, frozen=True):
    TrainingInputMode: Mode
    TrainingImage: Annotated[str, Meta(max_length=255)] | None = None
    AlgorithmName: Annotated[str, Meta(min_length=1, max_length=170)] | None = None
    MetricDefinitions: Annotated[list[MetricDefinition], Meta(max_length=40)] = []


class TrainingAlgorithm(Algorithm, frozen=True):
    EnableSageMakerMetricsTimeSeries: bool = False
    ContainerEntrypoint: Annotated[list[Text], Meta(min_length=1, max_length=100)] | None = None
    ContainerArguments: Annotated[list[Text], Meta(min_length=1, max_length=100)] | None = None
    TrainingImageConfig: dict[str, Any] | None = None


class S3Source(Shape, frozen=True):
    S3DataType: Literal["ManifestFile", "S3Prefix", "AugmentedManifestFile", "Converse"]
    S3Uri: Uri
    S3DataDistributionType: Literal["FullyReplicated", "ShardedByS3Key"] = "FullyReplicated"
    AttributeNames: list[str] | None = None
    InstanceGroupNames: list[str] | None = None
    ModelAccessConfig: dict[str, Any] | None = None
    HubAccessConfig: dict[str, Any] | None = None


class FileSystemSource(Shape, frozen=True):
    FileSystemId: Annotated[str, Meta(min_length=11, max_length=21, pattern=r"\Afs-[0-9a-f]{8,}\Z")]
    FileSystemAccessMode: Literal["rw", "ro"]
    FileSystemType: Literal["EFS", "FSxLustre"]
    DirectoryPath: Annotated[str, Meta(max_length=4096)]


class DataSource(Shape, frozen=True):
    S3DataSource: S3Source | None = None
    FileSystemDataSource: FileSystemSource | None = None
    DatasetSource: dict[str, Any] | None = None


class Channel(Shape, frozen=True):
    ChannelName: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9.\-_]+\Z")]
    DataSource: DataSource
    ContentType: Text | None = None
    CompressionType: Literal["None", "Gzip"] = "None"
    RecordWrapperType: Literal["None", "RecordIO"] = "None"
    InputMode: Mode | None = None
    ShuffleConfig: dict[str, Any] | None = None


Channels: TypeAlias = Annotated[list[Channel], Meta(min_length=1, max_length=20)]


class Vpc(Shape, frozen=True):
    SecurityGroupIds: Annotated[list[str], Meta(min_length=1, max_length=5)]
    Subnets: Annotated[list[str], Meta(min_length=1, max_length=16)]


class Output(Shape, frozen=True):
    S3OutputPath: Uri
    KmsKeyId: Key = ""
    CompressionType: Literal["GZIP", "NONE"] = "GZIP"


class Resources(Shape, frozen=True):
    InstanceType: str | None = None
    InstanceCount: Count | None = None
    VolumeSizeInGB: Count | None = None
    VolumeKmsKeyId: Key = ""
    KeepAlivePeriodInSeconds: Annotated[int, Meta(ge=0, le=21600)] | None = None
    InstanceGroups: list[dict[str, Any]] = []
    TrainingPlanArn: str | None = None
    InstancePlacementConfig: dict[str, Any] | None = None
    InstancePreferences: list[dict[str, Any]] = []
    SelectedInstanceType: str | None = None
    SelectedInstanceCount: Count | None = None


class Instance(Shape, frozen=True):
    InstanceType: str
    InstanceCount: Count
    VolumeSizeInGB: Positive


class TuningResources(Shape, frozen=True):
    InstanceType: str | None = None
    InstanceCount: Count | None = None
    VolumeSizeInGB: Count | None = None
    VolumeKmsKeyId: Key = ""
    AllocationStrategy: Literal["Prioritized"] | None = None
    InstanceConfigs: Annotated[list[Instance], Meta(max_length=6)] = []


class Stopping(Shape, frozen=True):
    MaxRuntimeInSeconds: Positive | None = None
    MaxWaitTimeInSeconds: Positive | None = None
    MaxPendingTimeInSeconds: Annotated[int, Meta(ge=1800, le=2419200)] | None = None


class Checkpoints(Shape, frozen=True):
    S3Uri: Uri
    LocalPath: Annotated[str, Meta(max_length=4096)] = "/opt/ml/checkpoints"


class Retries(Shape, frozen=True):
    MaximumRetryAttempts: Annotated[int, Meta(ge=1, le=30)]


class _Job(Shape, frozen=True, kw_only=True):
    """What training jobs and the definitions of tuning jobs have in common."""

    AlgorithmSpecification: Algorithm
    RoleArn: Role
    OutputDataConfig: Output
    StoppingCondition: Stopping = Stopping()
    InputDataConfig: Channels | None = None
    ResourceConfig: Resources | None = None
    VpcConfig: Vpc | None = None
    EnableNetworkIsolation: bool = False
    EnableInterContainerTrafficEncryption: bool = False
    EnableManagedSpotTraining: bool = False
    CheckpointConfig: Checkpoints | None = None
    RetryStrategy: Retries | None = None


class CreateTraining(_Job, frozen=True, kw_only=True):
    TrainingJobName: TrainingName
    AlgorithmSpecification: TrainingAlgorithm
    HyperParameters: Hyperparameters = {}
    Tags: Tags = []
    Environment: Annotated[dict[_Variable, _Value], Meta(max_length=100)] = {}
    DebugHookConfig: dict[str, Any] | None = None
    DebugRuleConfigurations: list[dict[str, Any]] = []
    TensorBoardOutputConfig: dict[str, Any] | None = None
    ExperimentConfig: dict[str, Any] | None = None
    ProfilerConfig: dict[str, Any] | None = None
    ProfilerRuleConfigurations: list[dict[str, Any]] = []
    RemoteDebugConfig: dict[str, Any] | None = None
    InfraCheckConfig: dict[str, Any] | None = None
    SessionChainingConfig: dict[str, Any] | None = None
    ServerlessJobConfig: dict[str, Any] | None = None
    MlflowConfig: dict[str, Any] | None = None
    ModelPackageConfig: dict[str, Any] | None = None


# -- tuning -----------------------------------------------------------------------------------


class Range(Shape, frozen=True):
    """Of integers or of continuous values."""

    Name: Annotated[str, Meta(min_length=1, max_length=256)]
    MinValue: Bound
    MaxValue: Bound
    ScalingType: Scaling = "Auto"


class Categories(Shape, frozen=True):
    Name: Annotated[str, Meta(min_length=1, max_length=256)]
    Values: Annotated[list[Text], Meta(min_length=1, max_length=30)]


class AutoParameter(Shape, frozen=True):
    Name: Annotated[str, Meta(min_length=1, max_length=256)]
    ValueHint: Text


class Ranges(Shape, frozen=True):
    IntegerParameterRanges: Annotated[list[Range], Meta(max_length=30)] = []
    ContinuousParameterRanges: Annotated[list[Range], Meta(max_length=30)] = []
    CategoricalParameterRanges: Annotated[list[Categories], Meta(max_length=30)] = []
    AutoParameters: Annotated[list[AutoParameter], Meta(max_length=100)] = []


class Objective(Shape, frozen=True):
    Type: Type
    MetricName: Metric


class Definition(_Job, frozen=True, kw_only=True):
    StoppingCondition: Stopping
    DefinitionName: Part | None = None
    TuningObjective: Objective | None = None
    HyperParameterRanges: Ranges | None = None
    StaticHyperParameters: Hyperparameters = {}
    HyperParameterTuningResourceConfig: TuningResources | None = None
    Environment: Annotated[dict[_Variable, _Value], Meta(max_length=48)] = {}


class Hyperband(Shape, frozen=True):
    MinResource: Positive | None = None
    MaxResource: Positive | None = None


class StrategyConfig(Shape, frozen=True):
    HyperbandStrategyConfig: Hyperband | None = None


class ResourceLimits(Shape, frozen=True):
    MaxParallelTrainingJobs: Positive
    MaxNumberOfTrainingJobs: Positive | None = None
    MaxRuntimeInSeconds: Annotated[int, Meta(ge=120, le=15768000)] | None = None


class NotImproving(Shape, frozen=True):
    MaxNumberOfTrainingJobsNotImproving: Annotated[int, Meta(ge=3, le=2**31 - 1)] | None = None


class Convergence(Shape, frozen=True):
    CompleteOnConvergence: Literal["Disabled", "Enabled"] = "Disabled"


class Completion(Shape, frozen=True):
    TargetObjectiveMetricValue: float | None = None
    BestObjectiveNotImproving: NotImproving | None = None
    ConvergenceDetected: Convergence | None = None


class TuningConfig(Shape, frozen=True):
    Strategy: Strategy
    ResourceLimits: ResourceLimits
    StrategyConfig: StrategyConfig | None = None
    HyperParameterTuningJobObjective: Objective | None = None
    ParameterRanges: Ranges | None = None
    TrainingJobEarlyStoppingType: Literal["Off", "Auto"] | None = None
    TuningJobCompletionCriteria: Completion | None = None
    RandomSeed: Count | None = None


class Parent(Shape, frozen=True):
    HyperParameterTuningJobName: TuningName


class WarmStart(Shape, frozen=True):
    ParentHyperParameterTuningJobs: Annotated[list[Parent], Meta(min_length=1, max_length=5)]
    WarmStartType: Literal["IdenticalDataAndAlgorithm", "TransferLearning"]


class Autotune(Shape, frozen=True):
    Mode: Literal["Enabled"]


class CreateTuning(Shape, frozen=True):
    HyperParameterTuningJobName: TuningName
    HyperParameterTuningJobConfig: TuningConfig
    TrainingJobDefinition: Definition | None = None
    TrainingJobDefinitions: (
        Annotated[list[Definition], Meta(min_length=1, max_length=10)] | None
    ) = None
    WarmStartConfig: WarmStart | None = None
    Tags: Tags = []
    Autotune: Autotune | None = None


# -- what asks for one, or for several ----------------------------------------------------------


class TuningJob(Shape, frozen=True):
    HyperParameterTuningJobName: TuningName


class TrainingJob(Shape, frozen=True):
    TrainingJobName: TrainingName


class _List(Shape, frozen=True, kw_only=True):
    NextToken: Token | None = None
    MaxResults: Page = 10
    SortOrder: Order | None = None


class _ListJobs(_List, frozen=True, kw_only=True):
    NameContains: Contains | None = None
    CreationTimeAfter: float | None = None
    CreationTimeBefore: float | None = None
    LastModifiedTimeAfter: float | None = None
    LastModifiedTimeBefore: float | None = None


class ListTuning(_ListJobs, frozen=True, kw_only=True):
    SortBy: Literal["Name", "Status", "CreationTime"] = "CreationTime"
    StatusEquals: TuningStatus | None = None


class ListTraining(_ListJobs, frozen=True, kw_only=True):
    SortBy: Literal["Name", "Status", "CreationTime"] = "CreationTime"
    StatusEquals: TrainingStatus | None = None
    WarmPoolStatusEquals: str | None = None
    TrainingPlanArnEquals: str | None = None


class ListOfTuning(_List, frozen=True, kw_only=True):
    HyperParameterTuningJobName: TuningName
    StatusEquals: TrainingStatus | None = None
    SortBy: Literal["Name", "CreationTime", "Status", "FinalObjectiveMetricValue"] = "Name"


Property: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A.+\Z")]


class Filter(Shape, frozen=True):
    Name: Property
    Operator: Literal[
        "Equals", "NotEquals", "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo", "Contains", "Exists",
        "NotExists", "In",
    ] = "Equals"  # fmt: skip
    Value: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


Filters: TypeAlias = Annotated[list[Filter], Meta(max_length=20)]


class NestedFilters(Shape, frozen=True):
    NestedPropertyName: Property
    Filters: Annotated[list[Filter], Meta(min_length=1, max_length=20)]


class Expression(Shape, frozen=True):
    Filters: Filters = []
    NestedFilters: Annotated[list[NestedFilters], Meta(max_length=20)] = []
    SubExpressions: Annotated[list[Expression], Meta(max_length=20)] = []
    Operator: Literal["And", "Or"] = "And"


class Search(_List, frozen=True, kw_only=True):
    Resource: Annotated[str, Meta(min_length=1, max_length=64)]
    SearchExpression: Expression = Expression()
    SortBy: Property = "LastModifiedTime"
    CrossAccountFilterOption: Literal["SameAccount"] = "SameAccount"


class Arn(Shape, frozen=True):
    ResourceArn: Annotated[str, Meta(max_length=256, pattern=r"\Aarn:.*\Z")]


class ListTags(Arn, frozen=True):
    NextToken: Token | None = None
    MaxResults: Annotated[int, Meta(ge=50)] = 50


class AddTags(Arn, frozen=True):
    Tags: Tags = msgspec.field(default_factory=list)


class DeleteTags(Arn, frozen=True):
    TagKeys: Annotated[list[str], Meta(min_length=1, max_length=50)] = msgspec.field(
        default_factory=list
    )

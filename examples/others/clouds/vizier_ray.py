"""OSS Vizier's client, whose trials are tasks of a Ray cluster (RAY_ADDRESS): suggestions in twos, learning curves, the best."""

import os

import ray
from vizier.service import clients
from vizier.service import pyvizier as vz

clients.environment_variables.server_endpoint = os.environ["VIZIER_ENDPOINT"]


@ray.remote(num_cpus=0.5)
def train(rate, momentum):
    """The error after each of five epochs."""
    error, step, errors = 1.0, 0.0, []
    for _ in range(5):
        step = (momentum or 0.0) * step + rate * error
        error = abs(error - step)
        errors.append(error)
    return errors


config = vz.StudyConfig(algorithm="DEFAULT")
root = config.search_space.root
root.add_float_param("rate", 1e-3, 1.0, scale_type=vz.ScaleType.LOG)
optimizer = root.add_categorical_param("optimizer", ["sgd", "adam"])
optimizer.select_values(["sgd"]).add_float_param("momentum", 0.0, 0.9)
config.metric_information.append(
    vz.MetricInformation("error", goal=vz.ObjectiveMetricGoal.MINIMIZE)
)

ray.init(logging_level="ERROR")
study = clients.Study.from_study_config(config, owner="ana", study_id="vizier-ray")
for _ in range(3):
    trials = study.suggest(count=2, client_id="driver")
    tasks = [
        train.remote(trial.parameters["rate"], trial.parameters.get("momentum")) for trial in trials
    ]
    for trial, errors in zip(trials, ray.get(tasks), strict=True):
        for epoch, error in enumerate(errors[:-1], 1):
            trial.add_measurement(vz.Measurement({"error": error}, steps=epoch))
        trial.complete(vz.Measurement({"error": errors[-1]}, steps=len(errors)))
for best in study.optimal_trials().get():
    print(best.parameters.as_dict(), best.final_measurement.metrics["error"].value)
completed = [t for t in study.trials().get() if t.status is vz.TrialStatus.COMPLETED]
print("vizier-ray", len(completed))

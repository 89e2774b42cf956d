"""SageMaker's API for tuning and training jobs, as its unchanged clients speak it."""

"""Studies over HTTP: requests in, calls of the facade (`tunesmith.tuning.study.Study`), answers out."""

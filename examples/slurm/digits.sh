#!/bin/bash
# Eight tasks on whatever nodes are free share one study in PostgreSQL; those that start late help, or end at once.
#   export TUNESMITH_STORAGE='postgresql://tuner@db/tuning?trials=/shared/trials'   (the password in ~/.pgpass)
#   sbatch examples/slurm/digits.sh
#SBATCH --job-name=digits
#SBATCH --array=0-7
#SBATCH --cpus-per-task=2
#SBATCH --time=01:00:00
#SBATCH --signal=B:TERM@60
#SBATCH --requeue
set -eu
export OMP_NUM_THREADS=1
# 60 s before its time is over, or when it is preempted, a task gives its trials to the others.
exec tunesmith run examples/digits/job.yaml --join --plain --parallel "${SLURM_CPUS_PER_TASK:-2}"

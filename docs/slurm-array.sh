#!/bin/bash
# One data set in slices, a slice a Slurm array task. From the repository, on a disk that all nodes share:
#
#     sbatch docs/slurm-array.sh                       # again, if tasks were killed: finished shards are kept
#     simgen join --out out/belt out/slices/*          # when all have ended
#
#SBATCH --job-name=simgen
#SBATCH --array=0-99
#SBATCH --cpus-per-task=4
#SBATCH --mem=6G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail

ROOT="${ROOT:-$PWD/out}" # a folder that all nodes share, or a URL such as s3://bucket/run-1
SCENES="${SCENES:-100000}"
SHARD_SCENES="${SHARD_SCENES:-16}"
PRESET="${PRESET:-conveyor}"
SEED="${SEED:-7}"

# Slice k of n is the shards [k*S/n, (k+1)*S/n): every shard is in one slice, however n divides their number.
shards=$(((SCENES + SHARD_SCENES - 1) / SHARD_SCENES))
first=$((SLURM_ARRAY_TASK_ID * shards / SLURM_ARRAY_TASK_COUNT))
last=$(((SLURM_ARRAY_TASK_ID + 1) * shards / SLURM_ARRAY_TASK_COUNT))
[ "$first" -lt "$last" ] || exit 0

# exec: Slurm's TERM, two minutes before the time is up, ends it as Ctrl-C does. --resume goes on, after a requeue too
exec simgen render --scenes "$SCENES" --shard-scenes "$SHARD_SCENES" --shards "$first:$last" --preset "$PRESET" \
  --seed "$SEED" --workers "$SLURM_CPUS_PER_TASK" --out "$ROOT/slices/$(printf %05d "$SLURM_ARRAY_TASK_ID")" --resume

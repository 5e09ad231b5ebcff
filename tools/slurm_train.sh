#!/usr/bin/env bash
# Train under SLURM, one task per GPU:
#     tools/slurm_train.sh PARTITION JOB_NAME CONFIG [WORK_DIR] [options]
# Options are those of star train. GPUS (8), GPUS_PER_NODE (8 or GPUS),
# CPUS_PER_TASK (5), MASTER_PORT, PYTHON and SRUN_ARGS come from the
# environment.
set -euo pipefail
if (( $# < 3 )); then
    echo 'error: usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG' \
        '[WORK_DIR] [options]' >&2
    exit 2
fi
partition=$1
job=$2
config=$3
shift 3
options=()
if (( $# )) && [[ $1 != -* ]]; then
    options=(--work-dir "$1")
    shift
fi
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$(( gpus < 8 ? gpus : 8 ))}
read -r -a extra <<< "${SRUN_ARGS:-}"
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
exec srun --partition="$partition" --job-name="$job" \
    --gres=gpu:"$per_node" --ntasks="$gpus" --ntasks-per-node="$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 \
    ${extra[@]+"${extra[@]}"} \
    "${PYTHON:-python}" -u "$tools/train.py" "$config" --launcher slurm \
    ${options[@]+"${options[@]}"} "$@"

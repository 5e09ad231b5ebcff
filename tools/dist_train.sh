#!/usr/bin/env bash
# Train on several GPUs, or on CPUs where there is no GPU:
#     tools/dist_train.sh CONFIG GPUS [options of star train]
# The same without a checkout: star train CONFIG --gpus GPUS [options].
# Several machines: run it on each with NNODES, NODE_RANK and MASTER_ADDR set,
# and PORT if 29500 is taken. PYTHON names the interpreter.
set -euo pipefail
if (( $# < 2 )); then
    echo 'error: usage: tools/dist_train.sh CONFIG GPUS [options]' >&2
    exit 2
fi
config=$1
gpus=$2
shift 2
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/torchrun.sh
source "$tools/torchrun.sh"
run_processes "$gpus" "$tools/train.py" "$config" --launcher pytorch "$@"

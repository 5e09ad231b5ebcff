#!/usr/bin/env bash
# Test on several GPUs, or on CPUs where there is no GPU:
#     tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of star test]
# CHECKPOINT: as for star test; `default` for the config's own weights.
# The same without a checkout: star test CONFIG CHECKPOINT --gpus GPUS.
# Several machines: run it on each with NNODES, NODE_RANK and MASTER_ADDR set,
# and PORT if 29500 is taken. PYTHON names the interpreter.
set -euo pipefail
if (( $# < 3 )); then
    echo 'error: usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [options]' >&2
    exit 2
fi
config=$1
checkpoint=$2
gpus=$3
shift 3
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/torchrun.sh
source "$tools/torchrun.sh"
run_processes "$gpus" "$tools/test.py" "$config" "$checkpoint" \
    --launcher pytorch "$@"

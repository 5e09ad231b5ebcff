# Sourced by dist_train.sh and dist_test.sh.

# run_processes GPUS SCRIPT [arguments]: one process per GPU of this machine
run_processes() {
    local gpus=$1
    shift
    if ! [[ $gpus =~ ^[1-9][0-9]*$ ]]; then
        echo "error: GPUS must be a number of at least 1, got '$gpus'" >&2
        exit 2
    fi
    local where=(--standalone)  # any free port of this machine
    if [[ -n ${PORT:-} || ${NNODES:-1} != 1 ]]; then
        where=(
            --nnodes="${NNODES:-1}"
            --node-rank="${NODE_RANK:-0}"
            --master-addr="${MASTER_ADDR:-127.0.0.1}"
            --master-port="${PORT:-29500}"
        )
    fi
    export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
    exec "${PYTHON:-python}" -m torch.distributed.run "${where[@]}" \
        --nproc-per-node="$gpus" "$@"
}

#!/usr/bin/env bash
# One process of slurm.sbatch: tell the command which process it is, and tell SLURM how it ended.
set -uo pipefail

address() {
    local first
    first=$(scontrol show hostnames "$SLURM_STEP_NODELIST" | head -n 1)
    scontrol --oneliner show node "$first" | sed -n 's/.* NodeAddr=\([^ ]*\).*/\1/p'
}

export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS
export MASTER_ADDR=${MASTER_ADDR:-$(address)} OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}

trap : USR1 TERM  # SLURM signals this shell too; it must live until the command has saved
status=0
"$@" || status=$?
case $status in
    138 | 143)  # stopped by SIGUSR1 or SIGTERM, which isn't a failure
        kill -l "$status" >"$MINIVIT_STOPPED"
        exit 0
        ;;
esac
exit "$status"

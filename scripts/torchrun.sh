#!/usr/bin/env bash
# Train on one machine, with one process per GPU; restart them when one dies.
#
#     scripts/torchrun.sh [--processes N] [--restarts N] [--dry-run] RECIPE --data DIR --out DIR [KEY=VALUE ...]
#
# --processes N  number of processes; by default one per GPU, or one if there is none. It must divide the recipe's
#                batch_size, which is the size for all of them together.
# --restarts N   how often to restart all processes after one has died; 3 by default. They continue from the checkpoint.
# --dry-run      print the command and start nothing.
#
# What follows the recipe is as for `python -m minivit train`. Set PYTHON to use another Python than the one in .venv.
#
# On Ctrl-C, SIGTERM or SIGUSR1 the run finishes its step, saves and ends; torchrun waits 30 s for that. To continue the
# run, give the same command again.
set -euo pipefail

name=torchrun.sh
usage="use: scripts/torchrun.sh [--processes N] [--restarts N] [--dry-run] RECIPE --data DIR --out DIR [KEY=VALUE ...]"
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHON=${PYTHON:-${scripts%/*}/.venv/bin/python}
# shellcheck source=common.sh
. "$scripts/common.sh"

processes="" restarts=3 dry_run=""
while [[ ${1:-} == -* ]]; do
    case $1 in
        --processes) whole_number "$1" "${2:-}" 1; processes=$2; shift 2 ;;
        --restarts) whole_number "$1" "${2:-}" 0; restarts=$2; shift 2 ;;
        --dry-run) dry_run=1; shift ;;
        *) fail "unknown option $1; $usage" ;;
    esac
done
read_train "$@"
[[ $processes ]] || processes=$("$PYTHON" -c "import torch; print(torch.cuda.device_count() or 1)")

# Without this, two of three runs hung after a worker was killed (pytorch issues 135712 and 167288).
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
# torchrun forwards the signals that it handles; an unhandled SIGUSR1 would kill it and leave its workers behind.
launch=("$PYTHON" -m torch.distributed.run --standalone --nproc-per-node "$processes" --max-restarts "$restarts"
        --signals-to-handle SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1 "${command[@]}")
if [[ $dry_run ]]; then
    show "${launch[@]}"
else
    exec "${launch[@]}"
fi

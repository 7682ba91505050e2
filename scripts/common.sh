# Shared by torchrun.sh and slurm.sbatch, which read the same arguments and start the same command.

fail() {
    echo "$name: error: $1" >&2
    exit 2
}

# Read RECIPE and what follows it, and report mistakes before anything starts; set out and the array command.
read_train() {
    (($#)) || fail "no recipe: $usage"
    local recipe=$1 word before="" data=${MINIVIT_DATA:-}
    [[ -f $recipe ]] || fail "recipe $recipe is not a file; $usage"
    out=""
    for word in "${@:2}"; do
        case $word in
            --data=*) data=${word#*=} ;;
            --out=*) out=${word#*=} ;;
            --dry-run | --restarts | --processes) fail "$word must come before the recipe; $usage" ;;
        esac
        case $before in
            --data) data=$word ;;
            --out) out=$word ;;
        esac
        before=$word
    done
    [[ $data ]] || fail "no data: give --data DIR, or set MINIVIT_DATA"
    [[ -d $data ]] || fail "data $data is not a folder"
    [[ $out ]] || fail "no folder for the run: give --out DIR"
    command -v "$PYTHON" >/dev/null || \
        fail "PYTHON=$PYTHON does not exist; make .venv with \`make book\`, or set PYTHON"
    # The command itself checks the rest: here, so that it complains once and not in every process.
    "$PYTHON" -c "import sys; from minivit.arguments import parse; parse(sys.argv[1:])" train "$@" || exit 2
    # A run that is started again continues where it was; the first time, --resume has no effect.
    command=(-m minivit train "$@")
    [[ " $* " == *" --resume "* ]] || command+=(--resume)
}

whole_number() {
    [[ $2 ]] || fail "$1 needs a value; $usage"
    [[ $2 =~ ^[0-9]+$ && $2 -ge $3 ]] || fail "$1 $2 must be a whole number, $3 or more"
}

# Print a command so that it can be pasted into a shell.
show() {
    local words
    printf -v words ' %q' "$@"
    echo "${words# }"
}

# What torchrun.sh and slurm.sbatch have in common: they read the same arguments and start the same command.

fail() {
    echo "$name: error: $1" >&2
    exit 2
}

# Take RECIPE and what follows it, and say what is wrong before anything starts: sets out and the array command.
read_train() {
    (($#)) || fail "no recipe: $usage"
    local recipe=$1 word before="" data=${MINIVIT_DATA:-}
    [[ -f $recipe ]] || fail "recipe $recipe is not a file; $usage"
    out=""
    for word in "${@:2}"; do
        case $word in
            --data=*) data=${word#*=} ;;
            --out=*) out=${word#*=} ;;
            --dry-run | --restarts | --processes) fail "$word must stand before the recipe; $usage" ;;
        esac
        case $before in
            --data) data=$word ;;
            --out) out=$word ;;
        esac
        before=$word
    done
    [[ $data ]] || fail "no data: give --data DIR, or set MINIVIT_DATA"
    [[ -d $data ]] || fail "data $data is not a folder"
    [[ $out ]] || fail "no place for the run: give --out DIR"
    command -v "$PYTHON" >/dev/null || \
        fail "PYTHON=$PYTHON is not there; make .venv with \`make book\`, or set PYTHON"
    # The rest is what the command itself understands; it says so once here, and not once in every process.
    "$PYTHON" -c "import sys; from minivit.__main__ import parse; parse(sys.argv[1:])" train "$@" || exit 2
    # A run that is started again goes on where it was; the first time, --resume has nothing to do.
    command=(-m minivit train "$@")
    [[ " $* " == *" --resume "* ]] || command+=(--resume)
}

whole_number() {
    [[ $2 ]] || fail "$1 needs a value; $usage"
    [[ $2 =~ ^[0-9]+$ && $2 -ge $3 ]] || fail "$1 $2 must be a whole number, $3 or more"
}

# Print a command as one could type it.
show() {
    local words
    printf -v words ' %q' "$@"
    echo "${words# }"
}

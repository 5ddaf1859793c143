#!/bin/bash
# run.sh [plain | mutants | all | NAME] ...: search the model exhaustively. The plain model must have no error, in each of
# four bounds (one alone would be too large): one kill and one power loss with a snapshot; the same with a change of
# segment instead; two kills; two snapshots. In each mutant the search must find an error. Needs spin and gcc;
# MEMDB_MODEL_MIB (default 6000) bounds the memory. Ends with a line "model: N passed, N failed".
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# search NAME [-D...]: leave the outcome in $work/NAME.out.
search() {
    local name=$1
    shift
    mkdir -p "$work/$name"
    (
        cd "$work/$name"
        spin -a "$@" "$here/memdb.pml"
        gcc -O2 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=1024 -DMEMLIM="${MEMDB_MODEL_MIB:-6000}" -o pan pan.c
        ./pan -m300000 -w22 >"$work/$name.out" 2>&1 || true
    )
    rm -rf "${work:?}/$name"
}

# report NAME WANTED: WANTED is 0 or 1 errors. A search that ran out of memory or depth proves nothing.
report() {
    local out=$work/$1.out errors states seconds cause
    errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$out")
    states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' "$out" | head -n 1)
    seconds=$(sed -n 's/^pan: elapsed time \([0-9.]*\) seconds.*/\1/p' "$out")
    cause=$(grep -m 1 -E '^pan:[0-9]+: ' "$out" | cut -c1-90 || true)
    if [ "$2" = 0 ] && grep -qE 'max search depth too small|out of memory|reached -DMEMLIM|Search not completed' "$out"; then
        errors="incomplete"
    fi
    if [ "$errors" = "$2" ]; then
        passed=$((passed + 1))
        echo "ok      $1: ${states:-?} states, ${seconds:-?} s ${cause:+[$cause]}"
    else
        failed=$((failed + 1))
        echo "FAILED  $1: errors: ${errors:-none reported}, wanted $2"
        tail -n 20 "$out"
    fi
}

mutants=$(grep -oE '^ \*   MUTANT_[A-Z_]+' "$here/memdb.pml" | grep -oE 'MUTANT_[A-Z_]+')
plain="plain_base plain_segments plain_kills plain_snapshots"
for what in "${@:-all}"; do
    case $what in
    all) list="$plain $mutants" ;;
    plain) list=$plain ;;
    mutants) list=$mutants ;;
    *) list=$what ;;
    esac
    for name in $list; do
        bounds=() wanted=0
        case $name in
        plain_base) ;;
        plain_segments) bounds=(-DROLLS=1 -DSNAPSHOTS=0) ;;
        plain_kills) bounds=(-DKILLS=2 -DPOWER_LOSSES=0 -DSNAPSHOTS=0) ;;
        plain_snapshots) bounds=(-DSNAPSHOTS=2 -DPOWER_LOSSES=0) ;;
        MUTANT_LEAVE_UNSYNCED | MUTANT_EPOCH_FIRST) bounds=("-D$name" -DROLLS=1 -DSNAPSHOTS=0) wanted=1 ;;
        MUTANT_*) bounds=("-D$name") wanted=1 ;;
        esac
        if [[ " $plain $(echo $mutants) " != *" $name "* ]]; then
            echo "run.sh knows: $plain" $mutants >&2
            exit 2
        fi
        search "$name" ${bounds[@]+"${bounds[@]}"}
        report "$name" "$wanted"
    done
done
echo "model: $passed passed, $failed failed"
[ "$failed" = 0 ]

#!/bin/bash
# run.sh [plain | mutants | all | NAME] ...: search the models exhaustively. The plain models must have no error, in each of
# several bounds (one alone would be too large); in each mutant, which the heads of the models list, the search
# must find one. Needs spin and gcc; MEMDB_MODEL_MIB (default 6000) bounds the memory. Ends with a line "model: N passed, N
# failed".
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

mutants_of() {
    grep -oE '^ \*   MUTANT_[A-Z_]+' "$here/$1.pml" | grep -oE 'MUTANT_[A-Z_]+'
}
mutants="$(mutants_of memdb) $(mutants_of names) $(mutants_of merge)"

# model_of NAME: which file it is about.
model_of() {
    local model
    for model in names merge; do
        if mutants_of $model | grep -qx "$1"; then
            echo $model
            return
        fi
    done
    case $1 in
    plain_names | plain_ids) echo names ;;
    plain_merges | plain_merge_kills) echo merge ;;
    *) echo memdb ;;
    esac
}

# The bounds of the plain models, one line each. What is left out is as log.pml and names.pml say.
bounds_of_plain() {
    case $1 in
    plain_base) echo -DSNAPSHOTS=1 ;;
    plain_none) echo -DLESSER=2 -DFRAMES=2 -DTAILS=1 ;;
    plain_os) echo -DOS_DATABASE -DFRAMES=2 -DSNAPSHOTS=1 ;;
    plain_kills) echo -DKILLS=2 -DPOWER_LOSSES=0 ;;
    plain_conflicts) echo -DCONFLICTS=1 -DSNAPSHOTS=1 -DFRAMES=2 -DKILLS=0 ;;
    plain_segments) echo -DROLLS=1 -DFRAMES=2 ;;
    plain_direct) echo -DDIRECT=1 -DFRAMES=2 ;;
    plain_faults) echo -DFAULTS=1 -DFRAMES=2 ;;
    plain_fault_segments) echo -DFAULTS=1 -DROLLS=1 -DFRAMES=2 -DKILLS=0 ;;
    plain_fault_reads) echo -DFAULTS=1 -DFRAMES=2 -DSNAPSHOTS=1 -DKILLS=0 -DOS_DATABASE ;;
    plain_checkpoint) echo -DCHECKPOINTS=1 -DLSNS=3 -DFRAMES=2 -DLESSER=0 ;;
    plain_checkpoint_reads) echo -DCHECKPOINTS=1 -DSNAPSHOTS=2 -DLSNS=3 -DFRAMES=2 -DLESSER=0 -DPOWER_LOSSES=0 ;;
    plain_checkpoints) echo -DCHECKPOINTS=2 -DSNAPSHOTS=2 -DLSNS=4 -DFRAMES=2 -DLESSER=0 -DKILLS=0 -DPOWER_LOSSES=0 ;;
    plain_commits) echo -DCHECKPOINTS=1 -DSNAPSHOTS=1 -DLSNS=4 -DFRAMES=3 -DLESSER=0 -DKILLS=0 -DPOWER_LOSSES=0 ;;
    plain_recycle) echo -DRECYCLE=1 -DROLLS=2 -DCHECKPOINTS=1 -DLSNS=3 -DFRAMES=2 -DLESSER=0 -DPOWER_LOSSES=0 -DSNAPSHOTS=1 ;;
    plain_recycle_power) echo -DRECYCLE=1 -DROLLS=2 -DCHECKPOINTS=1 -DLSNS=3 -DFRAMES=2 -DLESSER=0 -DKILLS=0 ;;
    plain_readers) echo -DREADERS=1 -DCHECKPOINTS=1 -DLSNS=3 -DFRAMES=2 -DLESSER=0 -DPOWER_LOSSES=0 ;;
    plain_names) ;;
    plain_merges) echo -DFOLDS=3 -DMERGES=2 -DKILLS=0 ;;
    plain_merge_kills) echo -DFOLDS=2 -DMERGES=2 -DKILLS=1 ;;
    plain_ids) echo -DCHECKPOINTS=1 -DSTORES=3 -DREADS=0 -DSWEEPS=0 -DCOLLECTIONS=0 ;;
    esac
}
plain="plain_base plain_none plain_os plain_kills plain_conflicts plain_segments plain_direct plain_faults
plain_fault_segments plain_fault_reads plain_checkpoint plain_checkpoint_reads plain_checkpoints plain_commits
plain_recycle plain_recycle_power plain_readers plain_names plain_ids plain_merges plain_merge_kills"

# The least bounds in which the mutant shows.
bounds_of_mutant() {
    case $1 in
    MUTANT_RECYCLE_DEAD)
        echo -DRECYCLE=1 -DROLLS=1 -DCHECKPOINTS=1 -DLSNS=2 -DFRAMES=2 -DLESSER=0 -DSNAPSHOTS=1 -DPOWER_LOSSES=0 ;;
    MUTANT_EPOCHLESS)
        echo -DRECYCLE=1 -DROLLS=2 -DCHECKPOINTS=1 -DLSNS=3 -DFRAMES=2 -DLESSER=0 -DSNAPSHOTS=1 -DPOWER_LOSSES=0 ;;
    MUTANT_RECYCLE_UNRENAMED)
        echo -DRECYCLE=1 -DROLLS=2 -DCHECKPOINTS=1 -DLSNS=3 -DFRAMES=2 -DLESSER=0 -DKILLS=0 ;;
    MUTANT_CARRY_WRITTEN) echo -DTAILS=1 -DFRAMES=2 ;;
    MUTANT_FOLD_PART | MUTANT_FOLD_WRITTEN | MUTANT_COPY_UNCONFIRMED | MUTANT_CUT_UNTOLD)
        echo -DCHECKPOINTS=1 -DSNAPSHOTS=2 -DLSNS=3 -DFRAMES=2 -DKILLS=0 -DPOWER_LOSSES=0 ;;
    MUTANT_SEGMENT_UNSYNCED | MUTANT_CUT_FIRST | MUTANT_COMPANION_AFTER)
        echo -DCHECKPOINTS=1 -DLSNS=3 -DFRAMES=2 ;;
    MUTANT_VISIBLE_FIRST) echo -DCHECKPOINTS=1 -DSNAPSHOTS=1 -DLSNS=3 -DFRAMES=2 -DKILLS=0 -DPOWER_LOSSES=0 ;;
    MUTANT_NONE_UNWRITTEN) echo -DLESSER=2 -DFRAMES=2 ;;
    MUTANT_READ_WRITTEN) echo -DSNAPSHOTS=1 -DFRAMES=2 ;;
    MUTANT_CONFLICT_UNHELPED) echo -DCONFLICTS=1 -DSNAPSHOTS=1 -DFRAMES=2 -DKILLS=0 -DPOWER_LOSSES=0 ;;
    MUTANT_LEAVE_UNSYNCED | MUTANT_EPOCH_FIRST | MUTANT_PUBLISH_UNSYNCED) echo -DROLLS=1 -DFRAMES=2 ;;
    MUTANT_DIRECT_*) echo -DDIRECT=1 -DFRAMES=2 -DSNAPSHOTS=1 ;;
    MUTANT_DURABLE_FIRST) echo -DDIRECT=1 -DFRAMES=2 -DSNAPSHOTS=1 -DKILLS=0 -DPOWER_LOSSES=0 ;;
    MUTANT_READ_FAILED) echo -DFAULTS=1 -DOS_DATABASE -DSNAPSHOTS=1 -DFRAMES=2 ;;
    MUTANT_SYNC_ASIDE) echo -DFAULTS=1 -DROLLS=1 -DFRAMES=2 -DKILLS=0 -DSNAPSHOTS=1 -DLESSER=0 ;;
    MUTANT_FAILED_UNTOLD | MUTANT_NO_REWRITE | MUTANT_RECOVERY_FORGETS | MUTANT_SYNC_DEATH_* | MUTANT_FAIL_PRESENT)
        echo -DFAULTS=1 -DFRAMES=2 ;;
    MUTANT_READER_BESIDE_CUT) echo -DREADERS=1 -DCHECKPOINTS=1 -DLSNS=3 -DFRAMES=2 ;;
    MUTANT_READER_BEYOND) echo -DREADERS=1 -DFRAMES=2 -DPOWER_LOSSES=0 ;;
    MUTANT_READER_RECOVERS) echo -DREADERS=1 -DFRAMES=2 -DEPOCHS=6 ;;
    MUTANT_MERGE_* | MUTANT_FOLD_CHOSEN | MUTANT_FOLD_UNNAMED) echo -DFOLDS=3 -DMERGES=2 -DKILLS=0 ;;
    MUTANT_IDS_*) echo -DCHECKPOINTS=1 -DREADS=0 -DSWEEPS=0 ;;
    MUTANT_*) echo -DFRAMES=2 ;;
    esac
}

# search MODEL NAME [-D...]: leave the outcome in $work/NAME.out.
search() {
    local model=$1 name=$2
    shift 2
    mkdir -p "$work/$name"
    (
        cd "$work/$name"
        spin -a "$@" "$here/$model.pml"
        gcc -O1 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=1024 -DMEMLIM="${MEMDB_MODEL_MIB:-6000}" -o pan pan.c
        ./pan -m600000 -w23 >"$work/$name.out" 2>&1 || true
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

for what in "${@:-all}"; do
    case $what in
    all) list="$plain $mutants" ;;
    plain) list=$plain ;;
    mutants) list=$mutants ;;
    *) list=$what ;;
    esac
    for name in $list; do
        if [[ " $(echo $plain $mutants) " != *" $name "* ]]; then
            echo "run.sh knows:" $plain $mutants >&2
            exit 2
        fi
        wanted=0
        bounds=$(bounds_of_plain "$name")
        if [[ $name = MUTANT_* ]]; then
            bounds="-D$name $(bounds_of_mutant "$name")" wanted=1
        fi
        # Words: the bounds.
        search "$(model_of "$name")" "$name" $bounds
        report "$name" "$wanted"
    done
done
echo "model: $passed passed, $failed failed"
[ "$failed" = 0 ]

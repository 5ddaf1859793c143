/*
 * Folds and merges of memdb's tiers side by side, as a Promela model: in each of two processes one thread folds and
 * one merges, and a process may be killed between any two steps (engine/fold/fold.c, engine/fold/merge.c).
 *
 * Abstraction. A tier is one file that holds the log from its `first` to its `last`; an LSN is the number of a fold.
 * That the files are synced before the switch, and that the switch is one step, is shown by memdb.pml and by the tests
 * of power cuts.
 *
 * What must hold: at any moment the files that the catalog names are there, and hold all of the log up to what is
 * applied, each part once.
 *
 * A mutant breaks one rule; for each, the search must find an error (run.sh runs them all):
 *   MUTANT_MERGE_UNLOCKED    two merges may go on at once
 *   MUTANT_MERGE_UNTOLD      a merge tells where its tiers end only after it gave up the checkpoint lock
 *   MUTANT_MERGE_STALE       a merge switches to the tiers that it saw when it began
 *   MUTANT_FOLD_CHOSEN       a fold merges along tiers that a merge has chosen
 *   MUTANT_FOLD_UNNAMED      a fold unlinks files that nobody names while a merge goes on
 */
#ifndef FOLDS
#define FOLDS 3
#endif
#ifndef MERGES
#define MERGES 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#define FILES 5     /* one a fold, and one a merge; more are not begun */
#define TIERS 4

typedef File { bool there; byte first; byte last };
File files[FILES + 1];
byte next_file = 1;                             /* a word of control */

byte tiers; byte tier[TIERS];                   /* the catalog: files, oldest first */
byte applied;

byte checkpointer; byte merger;                 /* which process has the lock; the kernel drops it with its owner */
byte merging;                                   /* a word of control: tiers below may be in a merge */
bool dead_folder[3]; bool dead_merger[3];
byte folds; byte merges; byte kills;
hidden byte i_; hidden byte j_; hidden byte end_;

/* The catalog's files are there, and adjacent. */
inline check() {
    i_ = 0; end_ = 0;
    do
    :: i_ < tiers ->
        assert(files[tier[i_]].there);
        assert(files[tier[i_]].first == end_);
        end_ = files[tier[i_]].last;
        i_++
    :: else -> break
    od;
    assert(end_ == applied);
    i_ = 0; end_ = 0
}

/* Put f where the tiers [from, to) are. */
inline replace(f, from, to) {
    if
    :: (to) > (from) ->
        tier[from] = f; i_ = (from) + 1; j_ = to;
        do
        :: j_ < tiers -> tier[i_] = tier[j_]; i_++; j_++
        :: else -> break
        od;
        tiers = i_;
        do :: i_ < TIERS -> tier[i_] = 0; i_++ :: else -> break od
    :: else -> tier[tiers] = f; tiers++
    fi;
    i_ = 0; j_ = 0
}

inline unlink_between(low, high) {
    i_ = 1;
    do
    :: i_ < next_file ->
        if
        :: files[i_].there && files[i_].first >= (low) && files[i_].last <= (high) ->
            j_ = 0;
            do :: j_ < tiers && tier[j_] != i_ -> j_++ :: else -> break od;
            if :: j_ == tiers -> files[i_].there = 0 :: else fi
        :: else
        fi;
        i_++
    :: else -> break
    od;
    i_ = 0; j_ = 0
}

proctype folder(byte me) {
    byte first, f, x; bool goes_on;
again:
    {
        do
        :: atomic { folds < FOLDS && next_file <= FILES && tiers < TIERS && checkpointer == 0 ->
                    folds++; checkpointer = me; goes_on = merger != 0 };
            /* Files that nobody names. */
#ifndef MUTANT_FOLD_UNNAMED
            if
            :: !goes_on -> d_step { unlink_between(0, FOLDS + 1) }
            :: else
            fi;
#else
            d_step { unlink_between(0, FOLDS + 1) };
#endif
            /* Which tiers go along: some of the newest, none of those in a merge. */
            atomic {
                first = tiers;
                do
                :: first > 0 ->
#ifndef MUTANT_FOLD_CHOSEN
                    if :: goes_on && files[tier[first - 1]].first < merging -> break :: else fi;
#endif
                    first--
                :: break
                od
            };
            d_step {
                f = next_file; next_file++;
                files[f].there = 1; files[f].last = applied + 1;
                if :: first < tiers -> files[f].first = files[tier[first]].first :: else -> files[f].first = applied fi
            };
            d_step { x = tiers; replace(f, first, x); applied = files[f].last; check() };
            d_step { unlink_between(files[f].first, files[f].last) };
            atomic { checkpointer = 0; first = 0; f = 0; x = 0; goes_on = 0 }
        :: folds == FOLDS -> break
        od
    } unless { dead_folder[me] };
    atomic { if :: dead_folder[me] -> dead_folder[me] = 0; first = 0; f = 0; x = 0; goes_on = 0; goto again :: else fi }
}

proctype merging_thread(byte me) {
    byte first, end, f, low, high;
    byte seen[TIERS];
again:
    {
        do
#ifndef MUTANT_MERGE_UNLOCKED
        :: atomic { merges < MERGES && next_file <= FILES && merger == 0 -> merges++; merger = me };
#else
        :: atomic { merges < MERGES && next_file <= FILES -> merges++; merger = me };
#endif
            atomic { checkpointer == 0 -> checkpointer = me };
            atomic {
                end = tiers; first = tiers;
                do :: first > 0 -> first-- :: break od;
                i_ = 0;
                do :: i_ < tiers -> seen[i_] = tier[i_]; i_++ :: else -> break od;
                i_ = 0;
                if
                :: first < end -> low = files[tier[first]].first; high = applied
                :: else
                fi;
#ifndef MUTANT_MERGE_UNTOLD
                if :: first < end && merging < applied -> merging = applied :: else fi
#endif
            };
            checkpointer = 0;
            if
            :: first < end ->
#ifdef MUTANT_MERGE_UNTOLD
                if :: merging < high -> merging = high :: else fi;
#endif
                d_step {
                    f = next_file; next_file++;
                    files[f].there = 1; files[f].first = low; files[f].last = high
                };
                atomic { checkpointer == 0 -> checkpointer = me };
                d_step {
#ifdef MUTANT_MERGE_STALE
                    tiers = end; i_ = 0;
                    do :: i_ < TIERS -> tier[i_] = seen[i_]; i_++ :: else -> break od;
                    i_ = 0;
#endif
                    i_ = first;
                    do :: i_ < end -> assert(tier[i_] == seen[i_]); i_++ :: else -> break od;
                    i_ = 0;
                    replace(f, first, end); check()
                };
                d_step { unlink_between(low, high) };
                checkpointer = 0
            :: else
            fi;
            atomic {
                merger = 0; first = 0; end = 0; f = 0; low = 0; high = 0;
                do :: i_ < TIERS -> seen[i_] = 0; i_++ :: else -> break od;
                i_ = 0
            }
        :: merges == MERGES -> break
        od
    } unless { dead_merger[me] };
    atomic {
        if
        :: dead_merger[me] ->
            dead_merger[me] = 0; first = 0; end = 0; f = 0; low = 0; high = 0;
            do :: i_ < TIERS -> seen[i_] = 0; i_++ :: else -> break od;
            i_ = 0;
            goto again
        :: else
        fi
    }
}

active proctype world() {
    byte p;
    atomic { run folder(1); run merging_thread(1); run folder(2); run merging_thread(2) };
    do
    :: atomic { kills < KILLS -> kills++;
        if :: p = 1 :: p = 2 fi;
        dead_folder[p] = 1; dead_merger[p] = 1;
        if :: checkpointer == p -> checkpointer = 0 :: else fi;
        if :: merger == p -> merger = 0 :: else fi;
        p = 0 }
    :: kills == KILLS -> break
    od
}

/*
 * The log protocol of memdb as a Promela model: what processes that share one database do to the control file, the log,
 * the segment files and the catalog, step by step, with a kill between any two steps, writes of a killed process that
 * reach the file late, and a power loss that keeps any part of what was not synced.
 *
 * Abstraction. An LSN is the number of a frame, 1 to LSNS. Each thing in a file exists twice: as every process sees it
 * (cache) and as the disk holds it; a sync copies the first to the second. A cell of the log holds nothing (0), half a
 * frame (TORN) or the number of a frame; each frame knows the frame that its writer saw before it (parent), so that a
 * reader can tell whether what it sees is one history. A log segment is named by its epoch and owns the LSNs from its
 * start on, up to the start of a segment of a higher epoch. The catalog is one variable: LMDB's commit is atomic and
 * durable. `promise_*` remember what was acknowledged or seen, and are no part of the protocol.
 *
 * What must hold: a snapshot is an unbroken history that contains what was acknowledged; whatever was acknowledged or
 * seen as durable is there after any kill and any power loss; what was acknowledged as written is there after any kill;
 * a reader's visible LSN is never below its base; nobody waits for ever for a dead process.
 *
 * A mutant breaks one rule; for each, the search must find an error (run.sh runs them all):
 *   MUTANT_REPAIR_OLD_SEGMENT   rule 1: a repair goes on in the dead owner's segment
 *   MUTANT_RECOVER_OLD_SEGMENT  rule 1: a recovery goes on in the segment that it found
 *   MUTANT_OPEN_WITHOUT_GATE    rule 3: presence alone, exclusive or else shared, decides who recovers
 *   MUTANT_VISIBLE_FIRST        rule 4: a snapshot takes the visible LSN before the base
 *   MUTANT_READ_WRITTEN         rule 6: readers see what is written, not yet durable
 *   MUTANT_LEAVE_UNSYNCED       rule 7: a full log segment is left for a new one without a sync
 *   MUTANT_EPOCH_FIRST          rule 7: a shared sync reads which segment is the newest before it reads the written LSN
 *   MUTANT_ACK_FIRST            a full commit is acknowledged before the sync
 *   MUTANT_REPAIR_UNSYNCED      a repair calls the frames that it found durable without a sync
 *   MUTANT_FOLD_WRITTEN         a checkpoint folds what is written, not yet durable
 *   MUTANT_SEGMENT_UNSYNCED     a segment file is named by the catalog before it is synced
 *   MUTANT_CUT_FIRST            the log is cut before the switch
 *   MUTANT_PLAIN_MUTEX          a mutex whose owner died stays locked
 */
#ifndef LSNS
#define LSNS 2
#endif
#ifndef FRAMES
#define FRAMES 3
#endif
#ifndef EPOCHS
#define EPOCHS (2 + KILLS + POWER_LOSSES + ROLLS)
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef POWER_LOSSES
#define POWER_LOSSES 1
#endif
#ifndef CHECKPOINTS
#define CHECKPOINTS 1
#endif
#ifndef SNAPSHOTS
#define SNAPSHOTS 1
#endif
#ifndef ROLLS
#define ROLLS 0
#endif
#define PROCESSES 2
#define CELLS (LSNS + 1)
#define TORN 99
#define FREE 0
#define DEAD 98
#define WHOLE(frame) (frame != 0 && frame != TORN)

/* ------------------------------------------------------------------ files */
typedef Segment {
    byte start_cache; byte start_disk;          /* first LSN, 0: no such file */
    byte cache[CELLS]; byte disk[CELLS]
};
Segment log[EPOCHS];
byte file_cache[3]; byte file_disk[3];          /* segment files of the stores: LSN that they hold, plus 1 */
byte applied; byte named;                       /* the catalog: applied LSN, and the file that it names */
byte base[CELLS];                               /* what the named file says */

/* ------------------------------------------------------------------ the control file and the lock file */
bool valid;
byte written; byte durable; byte epoch;
byte writer; byte syncer;                       /* robust mutexes: owner, FREE or DEAD */
byte gate; byte checkpointer;                   /* file locks: the kernel drops them with their owner */
byte present[PROCESSES + 1];

/* ------------------------------------------------------------------ writes under way, and those of the dead */
typedef Write { byte lsn; byte epoch; byte frame };
Write under_way[PROCESSES + 1];
Write late;
bool doomed[PROCESSES + 1];
bool begun;                                     /* somebody has tried to open */

/* ------------------------------------------------------------------ what was promised, and bounds of the search */
byte parent[FRAMES + 2];
byte promise_full[CELLS]; byte promise_os[CELLS]; byte promise_seen[CELLS];
byte next_frame = 1;
byte kills; byte power_losses; byte checkpoints; byte snapshots; byte rolls;

/* Scratch of d_steps: never read before it is set there. */
hidden byte i_; hidden byte j_; hidden byte k_;

/* The frame at an LSN, as its owner segment holds it: the highest epoch that starts there or before. */
inline frame_at(lsn_, out) {
    out = 0; i_ = 0;
    do
    :: i_ < EPOCHS ->
        if
        :: log[i_].start_cache != 0 && log[i_].start_cache <= (lsn_) -> out = log[i_].cache[lsn_]
        :: else
        fi;
        i_++
    :: else -> break
    od;
    i_ = 0                                      /* a d_step must not end in a loop */
}

/* Move x to the last whole frame that follows it without a gap. */
inline find_end(x) {
    d_step {
        j_ = 1;
        do
        :: j_ == 1 && x < LSNS -> frame_at(x + 1, k_); if :: WHOLE(k_) -> x++ :: else -> j_ = 0 fi
        :: else -> break
        od
    }
}

/* Sync one log segment; its name became durable when it was made. */
inline sync_segment(e) {
    d_step {
        i_ = 1;
        do :: i_ <= LSNS -> log[e].disk[i_] = log[e].cache[i_]; i_++ :: else -> break od
    }
}

inline sync_all() {
    d_step {
        j_ = 0;
        do
        :: j_ < EPOCHS ->
            i_ = 1;
            do :: i_ <= LSNS -> log[j_].disk[i_] = log[j_].cache[i_]; i_++ :: else -> break od;
            j_++
        :: else -> break
        od
    }
}

/* Open a new log segment that starts at LSN `first`: one above every header found. The header was synced under another
 * name before; the rename and the sync of the directory are the two steps that others can see. */
inline new_segment(first, e) {
    d_step {
        e = EPOCHS;
        do
        :: e > 0 && log[e - 1].start_cache == 0 && log[e - 1].start_disk == 0 -> e--
        :: else -> break
        od;
        assert(e < EPOCHS);                     /* the bound of the search is large enough */
        i_ = 1;
        do :: i_ <= LSNS -> log[e].cache[i_] = 0; log[e].disk[i_] = 0; i_++ :: else -> break od;
        log[e].start_cache = first
    };
    d_step {
        i_ = 0;
        do :: i_ < EPOCHS -> log[i_].start_disk = log[i_].start_cache; i_++ :: else -> break od;
        epoch = e; e = 0
    }
}

/* Everything that was promised must be in the base or in the log up to `end`. */
inline check_promises(end) {
    j_ = 1;
    do
    :: j_ <= LSNS ->
        if
        :: promise_full[j_] != 0 || promise_os[j_] != 0 || promise_seen[j_] != 0 ->
            assert(j_ <= (end));
            if :: j_ <= applied -> k_ = base[j_] :: else -> frame_at(j_, k_) fi;
            assert(promise_full[j_] == 0 || promise_full[j_] == k_);
            assert(promise_os[j_] == 0 || promise_os[j_] == k_);
            assert(promise_seen[j_] == 0 || promise_seen[j_] == k_)
        :: else
        fi;
        j_++
    :: else -> break
    od
}

inline raise_durable(to) {
    if :: durable < (to) -> durable = to :: else fi
}

inline cut(to) {
    d_step {
        j_ = 0;
        do
        :: j_ < EPOCHS ->
            i_ = 1;
            do :: i_ <= (to) -> log[j_].cache[i_] = 0; log[j_].disk[i_] = 0; i_++ :: else -> break od;
            /* A segment whose successor starts at or below the cut is unlinked; its name may outlive a power loss. */
            k_ = j_ + 1;
            do
            :: k_ < EPOCHS ->
                if
                :: log[k_].start_cache != 0 && log[k_].start_cache <= (to) + 1 -> log[j_].start_cache = 0
                :: else
                fi;
                k_++
            :: else -> break
            od;
            j_++
        :: else -> break
        od
    }
}

proctype Process(byte me) {
    byte x, e;                  /* an LSN and an epoch at work */
    byte b, g, v;               /* a snapshot: base, the file that it names, visible LSN */
    byte view[CELLS]; byte known;  /* the private delta: frames up to `known` */
    byte mine;                  /* own last acknowledged LSN */
    byte frame, seen;
    byte fresh;                 /* newest LSN acknowledged as durable when the snapshot began */
    bool synced, again;

reopen: {
        /* ---------------------------------------------------------- open (rule 3) */
        assert(present[me] == 0);
end_closed:
#ifdef MUTANT_OPEN_WITHOUT_GATE
        if
        :: atomic { gate == 0 && present[1] == 0 && present[2] == 0 -> gate = me; begun = 1 }
        :: atomic { gate != 0 || present[1] != 0 || present[2] != 0 -> skip };
           atomic { gate == 0 -> present[me] = 1 };
           assert(valid); goto live
        fi;
#else
        atomic { gate == 0 -> gate = me; begun = 1 };
        if
        :: present[1] != 0 || present[2] != 0 ->
            assert(valid);
            atomic { present[me] = 1; gate = 0 };
            goto live
        :: else
        fi;
#endif
        /* Alone: recover. */
        d_step { valid = 0; x = applied; assert(file_cache[named] == applied + 1) };
        find_end(x);
        d_step { check_promises(x) };
        sync_all();
#ifndef MUTANT_RECOVER_OLD_SEGMENT
        new_segment(x + 1, e);
#endif
        d_step {
            written = x; durable = x; writer = FREE; syncer = FREE; valid = 1;
            present[me] = 1; gate = 0; x = 0
        };
live:
        skip;
end_idle:
        do
        /* ---------------------------------------------------------- commit */
        :: atomic { next_frame <= FRAMES && written < LSNS -> if :: synced = 1 :: synced = 0 fi };
            if
            :: atomic { writer == FREE -> writer = me }
            :: atomic { writer == DEAD -> writer = me; x = written };   /* its owner died: repair (rule 1) */
                find_end(x);
#ifndef MUTANT_REPAIR_UNSYNCED
                sync_all();
#endif
#ifndef MUTANT_REPAIR_OLD_SEGMENT
                new_segment(x + 1, e);
#endif
                d_step { written = x; raise_durable(x); x = 0 }
            fi;
            if
            :: next_frame <= FRAMES && written < LSNS ->
                if  /* the segment may be full: go on in a new one */
                :: atomic { rolls < ROLLS -> rolls++ };
#ifndef MUTANT_LEAVE_UNSYNCED
                    sync_segment(epoch);
                    d_step { raise_durable(written) };
#endif
                    x = written + 1; new_segment(x, e); x = 0
                :: skip
                fi;
                atomic {
                    /* Follow to the end, validate against it, encode; then the write is under way. */
                    if
                    :: written == 0 -> seen = 0
                    :: written != 0 && written <= applied -> seen = base[written]
                    :: else -> d_step { frame_at(written, seen) }
                    fi;
                    assert(written == 0 || WHOLE(seen));
                    frame = next_frame; next_frame++; parent[frame] = seen; seen = 0;
                    under_way[me].lsn = written + 1; under_way[me].epoch = epoch; under_way[me].frame = frame
                };
                d_step {
                    x = under_way[me].lsn;
                    log[under_way[me].epoch].cache[x] = frame;
                    under_way[me].lsn = 0; under_way[me].epoch = 0; under_way[me].frame = 0
                };
                written = x;
                writer = FREE;
                if
                :: synced ->
#ifdef MUTANT_ACK_FIRST
                    promise_full[x] = frame;
#endif
                    if
                    :: durable >= x                         /* somebody synced for us */
                    :: else ->
                        /* The shared sync (rule 7): older segments were synced when they were left. A dead syncer leaves
                         * nothing to repair. */
                        atomic { syncer == FREE || syncer == DEAD -> syncer = me };
#ifdef MUTANT_EPOCH_FIRST
                        e = epoch;
                        v = written;
#else
                        v = written;
                        e = epoch;
#endif
                        sync_segment(e);
                        atomic { raise_durable(v); syncer = FREE; v = 0; e = 0 }
                    fi;
                    atomic { promise_full[x] = frame; if :: mine < x -> mine = x :: else fi }
                :: else ->
                    atomic { promise_os[x] = frame; if :: mine < x -> mine = x :: else fi }
                fi
            :: else -> writer = FREE
            fi;
            atomic { x = 0; frame = 0; synced = 0 }

        /* ---------------------------------------------------------- snapshot (rule 4) */
        :: atomic { snapshots < SNAPSHOTS -> snapshots++;
                    fresh = LSNS; do :: fresh > 0 && promise_full[fresh] == 0 -> fresh-- :: else -> break od };
            do
            ::
#ifdef MUTANT_VISIBLE_FIRST
                atomic { v = durable; if :: v < mine -> v = mine :: else fi };
#endif
                atomic { b = applied; g = named; again = 0 };
                /* Map the files that the catalog named: a checkpoint may have unlinked them, then it named others. */
                atomic { if :: file_cache[g] != b + 1 -> assert(named != g); again = 1 :: else fi };
#ifndef MUTANT_VISIBLE_FIRST
#ifdef MUTANT_READ_WRITTEN
                v = written;
#else
                atomic { v = durable; if :: v < mine -> v = mine :: else fi };
#endif
#endif
                assert(again || v >= b);
                x = b;
                do
                :: !again && x < v ->
                    atomic {
                        x++;
                        if
                        :: x <= known && view[x] != 0
                        :: else ->
                            d_step { frame_at(x, seen) };
                            if
                            :: WHOLE(seen) -> view[x] = seen; if :: known < x -> known = x :: else fi
                            :: else -> assert(applied > b); again = 1   /* the cut has passed: adopt the newer base */
                            fi;
                            seen = 0
                        fi
                    }
                :: else -> break
                od;
                if :: !again -> break :: else -> atomic { x = 0; again = 0 } fi
            od;
            assert(v >= fresh);                             /* acknowledged before it began: in it */
            d_step {
                /* One unbroken history, with all that was promised up to here. */
                x = 1; seen = 0;
                do
                :: x <= v ->
                    if :: x <= b -> frame = base[x] :: else -> frame = view[x] fi;
                    assert(WHOLE(frame) && parent[frame] == seen);
                    assert(promise_full[x] == 0 || promise_full[x] == frame);
                    assert(promise_os[x] == 0 || promise_os[x] == frame);
                    assert(promise_seen[x] == 0 || promise_seen[x] == frame);
#ifdef MUTANT_READ_WRITTEN
                    promise_seen[x] = frame;
#else
                    if :: x <= durable -> promise_seen[x] = frame :: else fi;
#endif
                    seen = frame; x++
                :: else -> break
                od;
                /* What the base holds is dropped from the delta. */
                x = 1;
                do :: x <= b -> view[x] = 0; x++ :: else -> break od;
                x = 0; v = 0; b = 0; g = 0; frame = 0; seen = 0; fresh = 0
            }

        /* ---------------------------------------------------------- checkpoint */
        :: atomic { checkpoints < CHECKPOINTS && durable > applied && checkpointer == 0 ->
                    checkpoints++; checkpointer = me };
#ifdef MUTANT_FOLD_WRITTEN
            v = written;
#else
            v = durable;
#endif
            if
            :: v > applied ->
                d_step { g = (named + 1) % 3; file_cache[g] = v + 1 };
#ifndef MUTANT_SEGMENT_UNSYNCED
                file_disk[g] = v + 1;
#endif
#ifdef MUTANT_CUT_FIRST
                d_step { x = applied + 1;
                         do :: x <= v -> frame_at(x, k_); view[x] = k_; x++ :: else -> break od; x = 0 };
                cut(v);
                d_step { x = applied + 1;
                         do :: x <= v -> base[x] = view[x]; x++ :: else -> break od;
                         x = named; applied = v; named = g };
#else
                d_step {                                    /* the one switch */
                    x = applied + 1;
                    do
                    :: x <= v -> frame_at(x, k_); assert(WHOLE(k_)); base[x] = k_; x++
                    :: else -> break
                    od;
                    x = named; applied = v; named = g
                };
                cut(v);
#endif
                d_step { file_cache[x] = 0; file_disk[x] = 0 }  /* the old file is unlinked */
            :: else
            fi;
            atomic { x = 0; v = 0; g = 0; checkpointer = 0 }
        od
    } unless {
        atomic {
            doomed[me] ->
            doomed[me] = 0; present[me] = 0;
            if :: gate == me -> gate = 0 :: else fi;
            if :: checkpointer == me -> checkpointer = 0 :: else fi;
#ifndef MUTANT_PLAIN_MUTEX
            if :: writer == me -> writer = DEAD :: else fi;
            if :: syncer == me -> syncer = DEAD :: else fi;
#endif
            if
            :: under_way[me].lsn != 0 ->
                late.lsn = under_way[me].lsn; late.epoch = under_way[me].epoch; late.frame = under_way[me].frame;
                under_way[me].lsn = 0; under_way[me].epoch = 0; under_way[me].frame = 0
            :: else
            fi;
            b = 0; g = 0; v = 0; e = 0; known = 0; mine = 0; fresh = 0; frame = 0; seen = 0; synced = 0; again = 0;
            x = 0;
            do :: x < CELLS -> view[x] = 0; x++ :: else -> break od;
            x = 0;
            goto reopen
        }
    }
}

/* The world: kills, late writes of the dead, power loss. */
active proctype World() {
    byte p, c;
    atomic {
        log[0].start_cache = 1; log[0].start_disk = 1; file_cache[0] = 1; file_disk[0] = 1;
        run Process(1)
    };
    /* The processes are alike: let the first that opens be number 1. */
    atomic { begun -> run Process(2) };
end_world:
    do
    :: atomic { kills < KILLS -> kills++; if :: doomed[1] = 1 :: doomed[2] = 1 fi }
    :: atomic { late.lsn != 0 ->
           if
           :: log[late.epoch].cache[late.lsn] = late.frame
           :: log[late.epoch].cache[late.lsn] = TORN
           :: skip
           fi;
           late.lsn = 0; late.epoch = 0; late.frame = 0 }
    :: atomic { power_losses < POWER_LOSSES -> power_losses++;
           if
           :: late.lsn != 0 -> if :: log[late.epoch].cache[late.lsn] = late.frame :: skip fi;
              late.lsn = 0; late.epoch = 0; late.frame = 0
           :: else
           fi;
           p = 1;
           do
           :: p <= PROCESSES ->
               doomed[p] = 1; present[p] = 0;
               if
               :: under_way[p].lsn != 0 ->
                   if :: log[under_way[p].epoch].cache[under_way[p].lsn] = under_way[p].frame :: skip fi;
                   under_way[p].lsn = 0; under_way[p].epoch = 0; under_way[p].frame = 0
               :: else
               fi;
               p++
           :: else -> break
           od;
           p = 0;
           do  /* what was not synced is kept, lost, or kept by half */
           :: p < EPOCHS ->
               if
               :: log[p].start_cache != log[p].start_disk ->
                   if :: log[p].start_disk = log[p].start_cache :: skip fi;
                   log[p].start_cache = log[p].start_disk
               :: else
               fi;
               c = 1;
               do
               :: c <= LSNS ->
                   if
                   :: log[p].cache[c] != log[p].disk[c] ->
                       if :: log[p].disk[c] = log[p].cache[c] :: log[p].disk[c] = TORN :: skip fi;
                       log[p].cache[c] = log[p].disk[c]
                   :: else
                   fi;
                   c++
               :: else -> break
               od;
               p++
           :: else -> break
           od;
           p = 0;
           do
           :: p < 3 ->
               if
               :: file_cache[p] != file_disk[p] ->
                   if :: file_disk[p] = file_cache[p] :: skip fi;
                   file_cache[p] = file_disk[p]
               :: else
               fi;
               p++
           :: else -> break
           od;
           d_step {
               c = 1;
               do :: c <= LSNS -> promise_os[c] = 0; c++ :: else -> break od;
               valid = 0; written = 0; durable = 0; epoch = 0; writer = FREE; syncer = FREE; gate = 0;
               checkpointer = 0; p = 0; c = 0
           } }
    od
}

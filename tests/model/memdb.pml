/*
 * The log protocol of memdb as a Promela model: what processes that share one database do to the control file, the log,
 * the segment files and the catalog, step by step, with a kill between any two steps, writes of a killed process that
 * reach the file late, a power loss that keeps any part of what was not synced, and writes and syncs that fail.
 *
 * log.pml holds the state and the steps on it; here are the processes, and the world that does them harm. names.pml is
 * the part about what frames name: blobs in extents, and ids.
 *
 * What must hold: a snapshot is an unbroken history that contains what was acknowledged; whatever was acknowledged or
 * seen as durable is there after any kill and any power loss; what was acknowledged as written is there after any kill,
 * unless the disk failed; a reader's visible LSN is never below its base; the base and the runs of a process hold each
 * frame once; nobody waits for ever for a dead process.
 *
 * A mutant breaks one rule; for each, the search must find an error (run.sh runs them all):
 *   MUTANT_REPAIR_OLD_SEGMENT   rule 1: a repair goes on in the dead owner's segment
 *   MUTANT_RECOVER_OLD_SEGMENT  rule 1: a recovery goes on in the segment that it found
 *   MUTANT_RECYCLE_DEAD         rule 1: the file of a segment whose writer died is recycled
 *   MUTANT_EPOCHLESS            rule 1: checksums do not cover the epoch, so that old frames verify in a recycled file
 *   MUTANT_SHARE_BLOCK          rule 2: a batch rewrites the block in which the one before it ends
 *   MUTANT_CARRY_WRITTEN        rule 2: a batch carries the written LSN as if it were durable
 *   MUTANT_OPEN_WITHOUT_GATE    rule 3: presence alone, exclusive or else shared, decides who recovers
 *   MUTANT_FAIL_PRESENT         rule 3: an opening that fails leaves the gate before it is absent
 *   MUTANT_PLAIN_MUTEX          rule 3: a mutex whose owner died stays locked
 *   MUTANT_VISIBLE_FIRST        rule 4: a snapshot takes the visible LSN before the base
 *   MUTANT_NONE_UNWRITTEN       rule 5: a commit of the level none releases the writer mutex before its write
 *   MUTANT_READ_WRITTEN         rule 6: readers see what is written, not yet durable
 *   MUTANT_CONFLICT_UNHELPED    rule 6: a conflict is told before what it met is durable
 *   MUTANT_LEAVE_UNSYNCED       rule 7: a full log segment is left for a new one without a sync
 *   MUTANT_EPOCH_FIRST          rule 7: a shared sync reads which segment is the newest before it reads the written LSN
 *   MUTANT_ACK_FIRST            rule 7: a full commit is acknowledged before the sync
 *   MUTANT_DIRECT_OVER_GAP      rule 7: a direct write calls itself durable though what lies below is not
 *   MUTANT_DIRECT_EARLY         rule 7: whether a write may be direct is decided before the writer mutex is held
 *   MUTANT_DURABLE_FIRST        rule 7: a direct write raises the durable LSN before the written LSN
 *   MUTANT_REPAIR_UNSYNCED      rule 1: a repair calls the frames that it found durable without a sync
 *   MUTANT_FAILED_UNTOLD        rule 8: who meets a failed sync tells nobody
 *   MUTANT_NO_REWRITE           rule 8: a recovery after a failed sync trusts the page cache
 *   MUTANT_READ_FAILED          rule 8: in a database that failed, readers see what is written
 *   MUTANT_RECOVERY_FORGETS     rule 8: a recovery whose own sync fails leaves no trace of it
 *   MUTANT_SYNC_DEATH_FORGOTTEN rule 8: who follows a dead owner of the sync mutex takes its sync as not begun
 *   MUTANT_SYNC_DEATH_UNSEEN    rule 8: so does a recovery
 *   MUTANT_SYNC_ASIDE           rule 8: who leaves a full segment syncs it without the sync mutex
 *   MUTANT_COMPANION_AFTER      rule 10: the companion is written after the switch
 *   MUTANT_READER_BESIDE_CUT    rule 11: a read-only opening does not hold the checkpoint lock
 *   MUTANT_READER_RECOVERS      rule 11: a read-only opening ends the log as a recovery does
 *   MUTANT_READER_BEYOND        rule 11: a read-only opening reads beyond what those who are present may see
 *   MUTANT_FOLD_PART            rule 14: a checkpoint folds beyond its seal, so a part of a run
 *   MUTANT_FOLD_WRITTEN         a checkpoint folds what is written, not yet durable
 *   MUTANT_SEGMENT_UNSYNCED     a segment file is named by the catalog before it is synced
 *   MUTANT_CUT_FIRST            the log is cut before the switch
 *   MUTANT_COPY_UNCONFIRMED     rule 18: who copies the log and meets the cut takes it for the end
 *   MUTANT_CUT_UNTOLD           rule 19: files are cut before the control file says so
 *   MUTANT_RECYCLE_UNRENAMED    rule 19: a recycled file gets its new header before its old name is gone for good
 *   MUTANT_PUBLISH_UNSYNCED     rule 19: frames go into a segment whose name is not synced
 */
#include "log.pml"

/* What a reader may see, besides what its own handle was told (rules 6 and 8). OS_DATABASE: written is enough. */
#if defined(MUTANT_READ_WRITTEN) || defined(MUTANT_READ_FAILED)
#define VISIBLE written
#elif defined(OS_DATABASE)
#define VISIBLE (failed -> durable : written)
#else
#define VISIBLE durable
#endif

proctype Process(byte me) {
    byte x, e;                  /* an LSN and an epoch at work */
    byte b, g, v;               /* a snapshot: base, the file that it names, visible LSN */
    byte view[CELLS];           /* the private delta: frames above `from` up to `known`, in whole runs but for the last */
    byte from, known;
    byte mine;                  /* own last acknowledged LSN */
    byte met;                   /* what the last conflict met */
    byte frame, seen;
    byte fresh;                 /* newest LSN acknowledged as durable when the snapshot began */
    byte level;                 /* of the commit */
    bool direct, bad, again;

reopen: {
        /* ---------------------------------------------------------- open (rule 3) */
        assert(present[me] == 0);
end_closed:
        if
        :: atomic { READERS && readers < READERS && begun -> readers++ }; goto read_only
#ifdef MUTANT_OPEN_WITHOUT_GATE
        :: atomic { gate == 0 && present[1] == 0 && present[2] == 0 -> gate = me; begun = 1 }
        :: atomic { gate != 0 || present[1] != 0 || present[2] != 0 -> skip };
           atomic { gate == 0 -> present[me] = 1 };
           assert(valid); goto live
#else
        :: atomic { gate == 0 -> gate = me; begun = 1 }
#endif
        fi;
#ifndef MUTANT_OPEN_WITHOUT_GATE
        if
        :: present[1] != 0 || present[2] != 0 ->
            assert(valid);
            atomic { present[me] = 1; gate = 0 };
            goto live
        :: else
        fi;
#endif
        /* Alone: recover. The old control file goes first: an opening that is cut off here leaves none, which the next
         * takes for a failure (rule 8). */
        d_step {
            valid = 0; x = applied;
            assert(file_cache[named] == applied + 1);
            assert(companion[0] == applied + 1 || companion[1] == applied + 1);
            again = failed || !control;
#ifndef MUTANT_SYNC_DEATH_UNSEEN
            again = again || syncing;
#endif
#ifdef MUTANT_NO_REWRITE
            again = 0;
#endif
#ifndef MUTANT_RECOVERY_FORGETS
            control = FAULTS == 0
#endif
        };
        find_end(x);
        d_step { check_promises(x); j_ = 0 };
        if
        :: sync_all()
        :: atomic { faults < FAULTS -> faults++; d_step { lose(); j_ = 0 } };
            /* The opening fails. */
            atomic { x = 0; again = 0 };
#ifdef MUTANT_FAIL_PRESENT
            atomic { present[me] = 1; gate = 0 };
            present[me] = 0;
#else
            gate = 0;
#endif
            goto reopen
        fi;
#ifndef MUTANT_RECOVER_OLD_SEGMENT
        if
        :: again && x > applied -> new_segment(applied + 1, x, 1, e)
        :: else -> new_segment(x + 1, 0, 1, e)
        fi;
        if :: bad -> atomic { x = 0; e = 0; again = 0; bad = 0; gate = 0; goto reopen } :: else fi;
#endif
        d_step {
            written = x; durable = x; told = applied; writer = FREE; syncer = FREE; valid = 1; control = 1;
            epoch = e; e = 0; failed = 0; syncing = 0; again = 0;
            present[me] = 1; gate = 0; x = 0
        };
live:
        skip;
end_idle:
        do
        /* ---------------------------------------------------------- a failed database is closed everywhere */
        :: failed ->
            atomic {
                present[me] = 0; mine = 0; met = 0; from = 0; known = 0;
                x = 0; do :: x < CELLS -> view[x] = 0; x++ :: else -> break od; x = 0;
                goto reopen
            }

        /* ---------------------------------------------------------- commit */
        :: atomic {
            commits < FRAMES && written < LSNS && !failed ->
            if :: level = FULL :: LESSER >= 1 -> level = OS :: LESSER >= 2 -> level = NONE fi;
            /* The transaction's snapshot, where it matters. */
            if
            :: conflicts < CONFLICTS -> conflicts++; again = 1; b = VISIBLE; if :: b < mine -> b = mine :: else fi
            :: skip
            fi
            };
append:
#ifdef MUTANT_DIRECT_EARLY
            direct = DIRECT && level >= FULL && durable == written;
#endif
            if
            :: atomic { writer == FREE -> writer = me }
            :: atomic { writer == DEAD -> writer = me };   /* its owner died: repair (rule 1) */
                if
                :: failed
                :: else ->
                    x = written;
                    find_end(x);
#ifndef MUTANT_REPAIR_UNSYNCED
                    take_syncer();
                    if
                    :: bad
                    :: else ->
                        if
                        :: sync_all()
                        :: atomic { faults < FAULTS -> faults++; d_step { lose(); j_ = 0 } }; failed = 1; bad = 1
                        fi
                    fi;
                    atomic { syncing = 0; syncer = FREE };
#endif
                    if
                    :: bad
                    :: else ->
#ifndef MUTANT_REPAIR_OLD_SEGMENT
                        new_segment(x + 1, 0, 1, e);
                        atomic { epoch = e; e = 0 };
#endif
                        written = x;
                        d_step { raise_durable(x) }
                    fi;
                    atomic { x = 0; bad = 0 }
                fi
            fi;
            if
            :: !failed && written < LSNS && (level == SEAL || commits < FRAMES) ->
                if
                :: again && b < written ->
                    /* First committer wins: what it met is made durable before it is told (rule 6). */
                    atomic { x = written; writer = FREE; level = FULL; b = 0 };
#ifdef MUTANT_CONFLICT_UNHELPED
                    met = x;
                    goto committed
#else
                    goto settle
#endif
                :: else
                fi;
                if  /* the segment may be full: go on in a new one */
                :: atomic { rolls < ROLLS -> rolls++ };
                    x = written;
#ifdef MUTANT_LEAVE_UNSYNCED
                    skip;
#elif defined(MUTANT_SYNC_ASIDE)
                    sync_segment(epoch);
                    d_step { raise_durable(x) };
#else
                    take_syncer();
                    if
                    :: bad
                    :: else ->
                        if
                        :: sync_segment(epoch); d_step { raise_durable(x) }
                        :: atomic { faults < FAULTS -> faults++; d_step { lose(); j_ = 0 } }; failed = 1; bad = 1
                        fi
                    fi;
                    atomic { syncing = 0; syncer = FREE };
#endif
                    if
                    :: bad -> writer = FREE; goto committed
                    :: else ->
                        new_segment(x + 1, 0, 0, e);
                        atomic { epoch = e; e = 0; x = 0 }
                    fi
                :: skip
                fi;
                atomic {
                    /* Follow to the end, validate against it, encode; then the write is under way. */
                    if
                    :: written == 0 -> seen = 0
                    :: written != 0 && written <= applied -> seen = base[written]
                    :: else -> d_step { frame_at(written, seen) }
                    fi;
                    if
                    :: written != 0 && !WHOLE(seen) ->
                        assert(faults > 0 && written > durable);    /* the page cache forgot: nobody commits on that */
                        seen = 0; writer = FREE; bad = 1; failed = 1;
                        goto committed
                    :: else
                    fi;
                    frame = next_frame; next_frame++; if :: level != SEAL -> commits++ :: else fi;
                    parent[frame] = seen; seen = 0; seals[frame] = level == SEAL;
#ifdef MUTANT_CARRY_WRITTEN
                    carried[frame] = written;
#else
                    if :: TAILS -> carried[frame] = durable :: else fi;
#endif
                    /* Direct (rule 7): where nothing below lacks a sync, for it makes durable only itself. That is for a
                     * process that is alone, but nothing rests on it: others read nothing above the written LSN. */
#ifndef MUTANT_DIRECT_EARLY
#ifdef MUTANT_DIRECT_OVER_GAP
                    if :: DIRECT && level >= FULL -> direct = 1 :: skip fi;
#else
                    if :: DIRECT && level >= FULL && durable == written -> direct = 1 :: skip fi;
#endif
#endif
                    under_way[me].lsn = written + 1; under_way[me].epoch = epoch; under_way[me].frame = frame
                };
#ifdef MUTANT_NONE_UNWRITTEN
                if
                :: level == NONE ->
                    written = under_way[me].lsn;
                    writer = FREE;
                    d_step {
                        log[under_way[me].epoch].cache[under_way[me].lsn] = frame;
                        under_way[me].lsn = 0; under_way[me].epoch = 0; under_way[me].frame = 0
                    };
                    goto committed
                :: else
                fi;
#endif
                if
                :: d_step {
                    x = under_way[me].lsn; e = under_way[me].epoch;
                    log[e].cache[x] = frame;
                    log[e].lost = log[e].lost & (255 - BIT(x));
                    if :: direct -> log[e].disk[x] = frame :: else fi;
#ifdef MUTANT_SHARE_BLOCK
                    if :: x > 1 && log[e].cache[x - 1] != 0 -> log[e].disk[x - 1] = TORN :: else fi;
#endif
                    under_way[me].lsn = 0; under_way[me].epoch = 0; under_way[me].frame = 0; e = 0
                    }
                :: atomic {
                    faults < FAULTS -> faults++;
                    if :: log[under_way[me].epoch].cache[under_way[me].lsn] = TORN :: skip fi;
                    under_way[me].lsn = 0; under_way[me].epoch = 0; under_way[me].frame = 0
                    };
                    failed = 1;
                    writer = FREE;
                    goto committed
                fi;
#ifdef MUTANT_DURABLE_FIRST
                if :: direct -> d_step { raise_durable(x) } :: else fi;
                written = x;
#else
                written = x;
                if :: direct -> d_step { raise_durable(x) } :: else fi;
#endif
                writer = FREE;
settle:
                if
                :: level >= FULL ->
#ifdef MUTANT_ACK_FIRST
                    if :: frame != 0 -> promise_full[x] = frame :: else fi;
#endif
                    if
                    :: durable >= x                         /* somebody synced for us */
                    :: else ->
                        /* The shared sync (rule 7): older segments were synced when they were left. */
                        take_syncer();
#ifdef MUTANT_EPOCH_FIRST
                        e = epoch;
                        v = written;
#else
                        v = written;
                        e = epoch;
#endif
                        if
                        :: bad
                        :: else ->
                            if
                            :: sync_segment(e); d_step { raise_durable(v) }
                            :: atomic { faults < FAULTS -> faults++; d_step { lose(); j_ = 0 }; bad = 1 };
#ifndef MUTANT_FAILED_UNTOLD
                                failed = 1
#endif
                            fi
                        fi;
                        atomic { syncing = 0; syncer = FREE; v = 0; e = 0 }
                    fi;
                    atomic {
                        if
                        :: bad
                        :: !bad && frame != 0 -> promise_full[x] = frame; if :: mine < x -> mine = x :: else fi
                        :: !bad && frame == 0 -> met = x
                        fi
                    }
                :: else ->
                    atomic {
                        if :: level == OS && faults == 0 -> promise_os[x] = frame :: else fi;
                        if :: mine < x -> mine = x :: else fi
                    }
                fi
            :: else -> atomic { writer = FREE; bad = 1 }
            fi;
committed:
            if
            :: level == SEAL && frame != 0 && !bad && !failed ->
                atomic { frame = 0; level = 0; direct = 0 };
                goto fold
            :: else ->
                atomic {
                    if :: level == SEAL -> checkpointer = 0 :: else fi;
                    x = 0; frame = 0; level = 0; direct = 0; again = 0; bad = 0; b = 0
                }
            fi

        /* ---------------------------------------------------------- snapshot (rule 4) */
        :: atomic {
            snapshots < SNAPSHOTS -> snapshots++;
#ifdef OS_DATABASE
            last_promise(1, fresh)
#else
            last_promise(0, fresh)
#endif
            };
            do
            ::
#ifdef MUTANT_VISIBLE_FIRST
                atomic { v = VISIBLE; if :: v < mine -> v = mine :: else fi };
#endif
                atomic { b = applied; g = named; again = 0 };
                /* Map the files that the catalog named: a checkpoint may have unlinked them, then it named others. */
                atomic { if :: file_cache[g] != b + 1 -> assert(named != g); again = 1 :: else fi };
#ifndef MUTANT_VISIBLE_FIRST
                atomic { v = VISIBLE; if :: v < mine -> v = mine :: else fi; assert(v <= written); bad = failed };
#endif
                assert(again || v >= b);
                atomic {
                    if
                    :: again
                    :: else ->
                        d_step {
                            /* Adopt the base: runs that it holds are dropped, whole (rule 14). A delta that ends below it
                             * begins anew there. */
                            if
                            :: known <= b -> from = b; known = b
                            :: else ->
                                i_ = from + 1;
                                do
                                :: i_ <= b -> if :: seals[view[i_]] -> from = i_ :: else fi; i_++
                                :: else -> break
                                od
                            fi;
                            i_ = 1;
                            do :: i_ <= from -> view[i_] = 0; i_++ :: else -> break od;
                            i_ = 0
                        };
                        assert(from == b);              /* base and runs hold each frame once */
                        x = known
                    fi
                };
                do
                :: !again && x < v ->
                    atomic {
                        x++;
                        d_step { frame_at(x, seen) };
                        if
                        :: WHOLE(seen) -> view[x] = seen; known = x
                        :: !WHOLE(seen) && faults > 0 && x > durable -> x = CELLS   /* an error: the database fails */
                        :: else ->
#ifdef MUTANT_COPY_UNCONFIRMED
                            v = x - 1;
#else
                            assert(told > x - 1);           /* the cut has passed (rule 19): adopt the newer base */
                            assert(applied > b);
                            again = 1
#endif
                        fi;
                        seen = 0
                    }
                :: else -> break
                od;
                if :: !again -> break :: else -> atomic { x = 0; again = 0 } fi
            od;
            if
            :: x == CELLS -> failed = 1
            :: else ->
                /* Acknowledged, or met, before it began: in it. What is only written may go when the disk fails. */
                assert(v >= met);
#ifdef OS_DATABASE
                assert(v >= fresh || bad);
#else
                assert(v >= fresh);
#endif
                d_step {
                    check_history(b, v);
                    i_ = 1;
                    do  /* what is not durable may be lost, but not what others wrote and a failed database still shows */
#ifdef MUTANT_READ_WRITTEN
                    :: i_ <= v ->
#else
                    :: i_ <= v && (i_ <= durable || (bad && i_ > mine)) ->
#endif
                        if :: i_ <= b -> promise_seen[i_] = base[i_] :: else -> promise_seen[i_] = view[i_] fi;
                        i_++
                    :: else -> break
                    od;
                    i_ = 0; j_ = 0
                }
            fi;
            atomic { x = 0; v = 0; b = 0; g = 0; fresh = 0; bad = 0 }

        /* ---------------------------------------------------------- checkpoint: seal, write, switch, tell, cut */
        :: atomic { checkpoints < CHECKPOINTS && written < LSNS && !failed && checkpointer == 0 ->
                    checkpoints++; checkpointer = me;
#ifdef MUTANT_FOLD_WRITTEN
                    level = OS; bad = 1
#else
                    level = SEAL
#endif
                    };
#ifdef MUTANT_FOLD_WRITTEN
            atomic { level = 0; bad = 0; x = written };
#else
            goto append;
#endif
fold:
            v = x;
#ifdef MUTANT_FOLD_PART
            v = durable;
#endif
            d_step { g = (named + 1) % 3; file_cache[g] = v + 1 };
#ifndef MUTANT_SEGMENT_UNSYNCED
            file_disk[g] = v + 1;
#endif
#ifndef MUTANT_COMPANION_AFTER
            d_step { if :: companion[0] == applied + 1 -> companion[1] = v + 1 :: else -> companion[0] = v + 1 fi };
#endif
#ifdef MUTANT_CUT_FIRST
            told = v;
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
#ifdef MUTANT_COMPANION_AFTER
            d_step { if :: companion[0] == applied + 1 -> companion[1] = v + 1 :: else -> companion[0] = v + 1 fi };
#endif
#ifndef MUTANT_CUT_UNTOLD
            told = v;
#endif
            cut(v);
#ifdef MUTANT_CUT_UNTOLD
            told = v;
#endif
#endif
            d_step { file_cache[x] = 0; file_disk[x] = 0 };     /* the old file is unlinked */
            atomic { x = 0; v = 0; g = 0; checkpointer = 0 }
        od;

        /* ---------------------------------------------------------- a read-only opening (rule 11) */
read_only:
#ifndef MUTANT_READER_BESIDE_CUT
        atomic { checkpointer == 0 -> checkpointer = me };
#endif
        atomic { gate == 0 -> gate = me };
        atomic {
            /* Beside others it reads as far as they may; alone, and nobody opens meanwhile, to the end. */
            b = applied; x = b; again = 0;
#ifdef MUTANT_READER_BEYOND
            v = LSNS;
#else
            v = (present[3 - me] != 0 -> durable : LSNS);
#endif
            if :: present[3 - me] != 0 -> last_promise(0, fresh) :: else -> last_promise(1, fresh) fi
        };
        do
        :: !again ->
            atomic {
                if
                :: x < v -> d_step { frame_at(x + 1, seen) }; if :: WHOLE(seen) -> x++; view[x] = seen :: else -> again = 1 fi
                :: else -> again = 1
                fi;
                seen = 0
            }
        :: else -> break
        od;
#ifdef MUTANT_READER_RECOVERS
        sync_all();
        new_segment(x + 1, 0, 0, e);
        e = 0;
#endif
        assert(x >= fresh || faults > 0);
        d_step {
            check_history(b, x);
            i_ = 0; do :: i_ < CELLS -> view[i_] = 0; i_++ :: else -> break od;
            i_ = 0; j_ = 0
        };
        atomic {
            x = 0; b = 0; v = 0; fresh = 0; again = 0; gate = 0;
            if :: checkpointer == me -> checkpointer = 0 :: else fi;
            goto reopen
        }
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
            b = 0; g = 0; v = 0; e = 0; from = 0; known = 0; mine = 0; met = 0; fresh = 0; frame = 0; seen = 0;
            level = 0; direct = 0; bad = 0; again = 0;
            x = 0;
            do :: x < CELLS -> view[x] = 0; x++ :: else -> break od;
            x = 0;
            goto reopen
        }
    }
}

/* The world: kills, late writes of the dead, a page cache that forgets, power loss. */
active proctype World() {
    byte p, c;
    atomic {
        log[0].start_cache = 1; log[0].start_disk = 1; file_cache[0] = 1; file_disk[0] = 1; companion[0] = 1;
        run Process(1)
    };
    /* The processes are alike: let the first that opens be number 1. */
    atomic { begun -> run Process(2) };
end_world:
    do
    :: atomic { kills < KILLS -> kills++; if :: doomed[1] = 1 :: doomed[2] = 1 fi }
    :: atomic { late.lsn != 0 ->
           c = late.lsn;
           if
           :: log[late.epoch].home == 0 ->
               if
               :: log[late.epoch].cache[c] = late.frame
               :: log[late.epoch].cache[c] = TORN
               :: skip
               fi
           :: else ->
               /* The file serves another epoch now: the write lands somewhere in it. */
               c = 1;
               do :: c < LSNS -> c++ :: break od;
               if :: log[log[late.epoch].home].cache[c] = TORN :: skip fi
           fi;
           late.lsn = 0; late.epoch = 0; late.frame = 0; c = 0 }
    :: atomic { FAULTS && faults > 0 ->
           /* A clean page leaves the page cache: what it held is read from the disk again. */
           p = 0; c = 0;
           do
           :: p < EPOCHS && log[p].lost == 0 -> p++
           :: else -> break
           od;
           if
           :: p < EPOCHS ->
               do :: (log[p].lost & BIT(c)) == 0 -> c++ :: else -> break od;
               log[p].cache[c] = log[p].disk[c]; log[p].lost = log[p].lost & (255 - BIT(c))
           :: else
           fi;
           p = 0; c = 0 }
    :: atomic { power_losses < POWER_LOSSES -> power_losses++;
           if
           :: late.lsn != 0 && log[late.epoch].home == 0 ->
               if :: log[late.epoch].cache[late.lsn] = late.frame :: skip fi
           :: else
           fi;
           late.lsn = 0; late.epoch = 0; late.frame = 0;
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
               log[p].lost = 0; log[p].died = 0;
               if :: p == spare && log[p].start_cache != 0 -> spare = EPOCHS :: else fi;
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
               /* The page cache is honest after a boot: a control file of before is no witness. */
               control = 1; valid = 0; failed = 0; syncing = 0;
               written = 0; durable = 0; told = 0; epoch = 0; writer = FREE; syncer = FREE; gate = 0;
               checkpointer = 0; p = 0; c = 0
           } }
    od
}

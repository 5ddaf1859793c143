/*
 * What the frames of memdb's log name, as a Promela model: blobs in extents, which may be collected, and ids, which are
 * leased. Two processes store blobs or name equal ones that are there, drop memories, read, fold, collect and sweep; a
 * kill between any two steps; a power loss that keeps any part of what was not synced.
 *
 * Abstraction. The log is taken as memdb.pml shows it to be: one history, to which a commit is added in one step under the
 * writer mutex; a kill leaves what is written; a power loss leaves a prefix of it that contains what is durable. An LSN is
 * the number of a frame. All blobs have the same content, so that each could stand for each other; `blob` numbers them
 * only to tell whether a reference leads to the bytes that it was made for. An extent holds one blob.
 *
 * What must hold: a memory of a current snapshot finds the bytes of its blob; an older snapshot finds them, or the extent
 * is retired above it (then it is told so); after any kill and power loss the blob of each memory is there; no id is
 * given twice.
 *
 * A mutant breaks one rule; for each, the search must find an error (run.sh runs them all):
 *   MUTANT_BLOB_UNSYNCED       rule 9: a frame names a blob that is not synced
 *   MUTANT_NAMES_UNCHECKED     rule 9: a transaction names an extent though it was retired since its snapshot
 *   MUTANT_RETIRE_UNCHECKED    rule 9: an extent is retired though somebody named it meanwhile
 *   MUTANT_RETIRE_UNLISTED     rule 9: the fold that retires an extent does not list it in the catalog: who opens when
 *                              the log is cut knows nothing of it
 *   MUTANT_UNLINK_FIRST        rule 9: an extent is unlinked before its retire frame is in the log
 *   MUTANT_UNLINK_UNSYNCED     rule 9: an extent is unlinked before its retire frame is durable
 *   MUTANT_SWEEP_LOCKED        rule 9: an unnamed extent is swept though its creator holds it
 *   MUTANT_SWEEP_LOG_FIRST     rule 9: the sweep reads the end of the log before it looks at the creator's lock
 *   MUTANT_SWEEP_DURABLE       rule 9: the sweep reads the log only as far as it is durable
 *   MUTANT_SWEEP_UNSYNCED      rule 9: the sweep unlinks an extent whose retire frame is not durable
 *   MUTANT_IDS_FROM_BASE       rule 16: a recovery takes the next id from the base, not from the log above it too
 *   MUTANT_IDS_FROM_LOG        rule 16: a recovery takes it from the log above the base alone
 */
#ifndef LSNS
#define LSNS 4
#endif
#ifndef EXTENTS
#define EXTENTS 3
#endif
#ifndef STORES
#define STORES 2
#endif
#ifndef DROPS
#define DROPS 1
#endif
#ifndef COLLECTIONS
#define COLLECTIONS 1
#endif
#ifndef SWEEPS
#define SWEEPS 1
#endif
#ifndef READS
#define READS 1
#endif
#ifndef CHECKPOINTS
#define CHECKPOINTS 0
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef POWER_LOSSES
#define POWER_LOSSES 1
#endif
#define PROCESSES 2

/* ------------------------------------------------------------------ the log and the base */
#define PUT 1       /* a memory, with an id, that names a blob in an extent */
#define DROP 2      /* the memory that the frame `id` put is gone */
#define RETIRE 3    /* nobody names this extent any more */
typedef Frame { byte operation; byte extent; byte blob; byte id };
Frame log[LSNS + 1];
byte written; byte durable;
byte applied; byte floor_id;                    /* the base holds the log up to here, and a floor of ids */
byte next_id = 1;                               /* a word of control */
byte next_extent = 1;                           /* too */

/* ------------------------------------------------------------------ the arena */
typedef Extent {
    bool name_cache; bool name_disk;
    byte cache; byte disk;                      /* the blob that it holds; 0: nothing, or half of one */
    byte lock                                   /* who holds it; the kernel drops it with its owner */
};
Extent arena[EXTENTS + 1];
byte next_blob = 1;

byte present[PROCESSES + 1]; bool doomed[PROCESSES + 1];
byte checkpointer; byte merger;                 /* who has the lock; a collection has merger all the time */
byte from[PROCESSES + 1];                       /* the base that a process began with: of the log it reads what is above */
bool listed[EXTENTS + 1];                       /* the catalog says that the extent is retired */
byte stores; byte drops; byte collections; byte sweeps; byte reads; byte checkpoints; byte kills; byte power_losses;
hidden byte i_; hidden byte j_;

/* Whether a blob that is in extent e by the frames up to `end` may be named: put, and not retired after that, as far as
 * who read the base up to `base`, and the log from there, can know. */
inline is_named(e, base, end, out) {
    out = 0; i_ = 1;
    do
    :: i_ <= (end) ->
        if
        :: log[i_].operation == PUT && log[i_].extent == e -> out = i_
        :: log[i_].operation == RETIRE && log[i_].extent == e && (i_ > (base) || listed[e]) -> out = 0
        :: else
        fi;
        i_++
    :: else -> break
    od;
    i_ = 0
}

/* Whether the memory that the frame m put is there at `end`. */
inline is_live(m, end, out) {
    out = log[m].operation == PUT && m <= (end); i_ = 1;
    do
    :: i_ <= (end) -> if :: log[i_].operation == DROP && log[i_].id == m -> out = 0 :: else fi; i_++
    :: else -> break
    od;
    i_ = 0
}

/* Whether some memory there at `end` names e. */
inline is_used(e, end, out) {
    out = 0; j_ = 1;
    do
    :: j_ <= (end) ->
        if
        :: log[j_].operation == PUT && log[j_].extent == e && out == 0 -> is_live(j_, end, out)
        :: else
        fi;
        j_++
    :: else -> break
    od;
    j_ = 0
}

/* The blob of each memory in the log is there. */
inline check_arena() {
    j_ = 1;
    do
    :: j_ <= written ->
        is_live(j_, written, x);
        assert(!x || (arena[log[j_].extent].name_cache && arena[log[j_].extent].cache == log[j_].blob));
        j_++
    :: else -> break
    od;
    j_ = 0; x = 0
}

/* No two memories have one id. */
inline check_ids() {
    i_ = 1;
    do
    :: i_ < written ->
        assert(log[i_].operation != PUT || log[written].operation != PUT || log[i_].id != log[written].id); i_++
    :: else -> break
    od;
    i_ = 0
}

proctype Process(byte me) {
    byte s, x, m, w;            /* a snapshot; something found; a memory; where the log ended */
    byte e, id, blob;           /* an extent, an id, a blob */
    bool own, synced;

reopen: {
        assert(present[me] == 0);
end_closed:
        atomic {
            if
            :: present[3 - me] == 0 ->
                /* Alone: recover. */
                d_step {
                    check_arena();
                    durable = written;
                    next_id = floor_id;
                    i_ = applied + 1;
#ifdef MUTANT_IDS_FROM_LOG
                    next_id = 0;
#endif
#ifndef MUTANT_IDS_FROM_BASE
                    do
                    :: i_ <= written ->
                        if :: log[i_].operation == PUT && log[i_].id >= next_id -> next_id = log[i_].id + 1 :: else fi;
                        i_++
                    :: else -> break
                    od;
#endif
                    if :: next_id == 0 -> next_id = 1 :: else fi;
                    next_extent = 1; i_ = 1;
                    do
                    :: i_ <= EXTENTS ->
                        if :: arena[i_].name_cache || arena[i_].name_disk -> next_extent = i_ + 1 :: else fi; i_++
                    :: else -> break
                    od;
                    i_ = 1;
                    do
                    :: i_ <= written ->
                        if :: log[i_].extent >= next_extent -> next_extent = log[i_].extent + 1 :: else fi; i_++
                    :: else -> break
                    od;
                    i_ = 0
                }
            :: else
            fi;
            present[me] = 1; from[me] = applied
        };
end_idle:
        do
        /* ---------------------------------------------------------- a transaction that stores a blob, or names one */
        :: atomic { stores < STORES && written < LSNS -> stores++; s = durable };
            atomic {
                e = 0;
                if
                :: d_step {
                    /* An equal blob is there. */
                    x = 1;
                    do
                    :: x <= EXTENTS && e == 0 -> is_named(x, from[me], s, m); if :: m != 0 -> e = x; blob = log[m].blob :: else fi; x++
                    :: else -> break
                    od;
                    x = 0; m = 0; own = 0
                    }
                :: next_extent <= EXTENTS -> own = 1
                fi
            };
            if
            :: e == 0 && next_extent <= EXTENTS ->
                /* A new extent, which its creator holds from the moment that it has a name. */
                atomic {
                    own = 1; e = next_extent; next_extent++; blob = next_blob; next_blob++;
                    arena[e].name_cache = 1; arena[e].lock = me
                };
                arena[e].cache = blob;
#ifndef MUTANT_BLOB_UNSYNCED
                d_step { arena[e].disk = arena[e].cache; arena[e].name_disk = 1 };
#endif
            :: else
            fi;
            if
            :: e == 0
            :: else ->
                atomic { id = next_id; next_id++ };
                atomic {
                    /* Under the writer mutex: validate, place, write. */
                    x = 0;
#ifndef MUTANT_NAMES_UNCHECKED
                    if :: own :: else -> is_named(e, from[me], written, m); x = m == 0; m = 0 fi;
#endif
                    if
                    :: x || written == LSNS -> x = 0     /* a conflict */
                    :: else ->
                        written++;
                        log[written].operation = PUT; log[written].extent = e; log[written].blob = blob; log[written].id = id;
                        check_ids();
                        if :: synced = 1 :: synced = 0 fi; x = written
                    fi
                };
                if :: synced -> atomic { if :: durable < x -> durable = x :: else fi } :: else fi;
                atomic { if :: own && arena[e].lock == me -> arena[e].lock = 0 :: else fi }
            fi;
            atomic { s = 0; x = 0; e = 0; id = 0; blob = 0; own = 0; synced = 0 }

        /* ---------------------------------------------------------- a transaction that drops a memory */
        :: atomic {
            drops < DROPS && written < LSNS -> m = 1;
            do
            :: m <= written -> d_step { is_live(m, written, x) }; if :: x -> break :: else -> m++ fi
            :: else -> break
            od;
            if
            :: m <= written ->
                drops++; written++; log[written].operation = DROP; log[written].id = m;
                if :: durable = written :: skip fi
            :: else
            fi;
            m = 0; x = 0
            }

        /* ---------------------------------------------------------- a reader */
        :: atomic {
            reads < READS && durable > 0 -> s = durable; m = 1;
            do
            :: m <= s -> d_step { is_live(m, s, x) }; if :: x -> break :: m < s -> m++ :: else -> m++ fi
            :: else -> break
            od;
            if :: m <= s -> reads++ :: else -> m = 0 fi; x = 0
            };
            if
            :: m == 0
            :: else ->
                d_step {
                    e = log[m].extent; i_ = s + 1; x = 0;
                    do
                    :: i_ <= written -> if :: log[i_].operation == RETIRE && log[i_].extent == e -> x = 1 :: else fi; i_++
                    :: else -> break
                    od;
                    i_ = 0;
                    assert(arena[e].name_cache || x);
                    assert(!arena[e].name_cache || arena[e].cache == log[m].blob)
                }
            fi;
            atomic { s = 0; m = 0; x = 0; e = 0 }

        /* ---------------------------------------------------------- a checkpoint */
        :: atomic { checkpoints < CHECKPOINTS && checkpointer == 0 && durable > applied -> checkpoints++; checkpointer = me };
            atomic { applied = durable; floor_id = next_id };
            checkpointer = 0

        /* ---------------------------------------------------------- collection: retire by a fold, then unlink */
        :: atomic { collections < COLLECTIONS && merger == 0 && checkpointer == 0 && written < LSNS ->
                    collections++; merger = me; checkpointer = me };
            d_step {
                /* An extent that no memory names any more. */
                w = 1; e = 0;
                do
                :: w <= EXTENTS && e == 0 ->
                    is_named(w, 0, written, m);
                    if :: m != 0 -> is_used(w, written, x); if :: !x -> e = w :: else fi :: else fi;
                    w++
                :: else -> break
                od;
                w = 0; m = 0; x = 0
            };
#ifdef MUTANT_UNLINK_FIRST
            arena[e].name_cache = 0;
#endif
            atomic {
                x = 0;
#ifndef MUTANT_RETIRE_UNCHECKED
                if :: e != 0 -> d_step { is_used(e, written, x) } :: else fi;
#endif
                if
                :: e == 0 || x || written == LSNS -> e = 0
                :: else -> written++; log[written].operation = RETIRE; log[written].extent = e; w = written
                fi;
                x = 0
            };
            if
            :: e == 0
            :: else ->
#ifndef MUTANT_UNLINK_UNSYNCED
                atomic { if :: durable < w -> durable = w :: else fi };
                atomic {
                    applied = w; floor_id = next_id;
#ifndef MUTANT_RETIRE_UNLISTED
                    listed[e] = 1;
#endif
                    checkpointer = 0
                };
#endif
                arena[e].name_cache = 0
            fi;
            atomic { if :: checkpointer == me -> checkpointer = 0 :: else fi; merger = 0; e = 0; w = 0 }

        /* ---------------------------------------------------------- sweeping what no frame names */
        :: atomic { sweeps < SWEEPS && checkpointer == 0 -> sweeps++; checkpointer = me };
            atomic { e = 1; do :: e < EXTENTS -> e++ :: break od };
#ifdef MUTANT_SWEEP_LOG_FIRST
            w = written;
#endif
            atomic {
                if
                :: !arena[e].name_cache -> e = 0
#ifndef MUTANT_SWEEP_LOCKED
                :: arena[e].name_cache && arena[e].lock != 0 -> e = 0
#endif
                :: else
                fi
            };
            if
            :: e == 0
            :: else ->
#ifdef MUTANT_SWEEP_DURABLE
                w = durable;
#elif !defined(MUTANT_SWEEP_LOG_FIRST)
                w = written;
#endif
                d_step { is_named(e, 0, w, m) };
                /* The frame that retired it, of a collector that died perhaps, must be durable too. */
                if
                :: m == 0 ->
#ifndef MUTANT_SWEEP_UNSYNCED
                    atomic { if :: durable < w -> durable = w :: else fi };
#endif
                    arena[e].name_cache = 0
                :: else
                fi
            fi;
            atomic { if :: checkpointer == me -> checkpointer = 0 :: else fi; e = 0; w = 0; m = 0 }
        od
    } unless {
        atomic {
            doomed[me] ->
            doomed[me] = 0; present[me] = 0; from[me] = 0;
            if :: checkpointer == me -> checkpointer = 0 :: else fi;
            if :: merger == me -> merger = 0 :: else fi;
            x = 1;
            do :: x <= EXTENTS -> if :: arena[x].lock == me -> arena[x].lock = 0 :: else fi; x++ :: else -> break od;
            s = 0; x = 0; m = 0; w = 0; e = 0; id = 0; blob = 0; own = 0; synced = 0;
            goto reopen
        }
    }
}

/* The world: kills and power loss. */
active proctype World() {
    byte p;
    atomic { run Process(1); run Process(2) };
end_world:
    do
    :: atomic { kills < KILLS -> kills++; if :: doomed[1] = 1 :: doomed[2] = 1 fi }
    :: atomic {
        power_losses < POWER_LOSSES -> power_losses++;
        doomed[1] = 1; doomed[2] = 1; present[1] = 0; present[2] = 0; checkpointer = 0; merger = 0;
        do
        :: written > durable ->
            log[written].operation = 0; log[written].extent = 0; log[written].blob = 0; log[written].id = 0; written--
        :: break
        od;
        p = 1;
        do
        :: p <= EXTENTS ->
            if :: arena[p].name_cache != arena[p].name_disk -> if :: arena[p].name_disk = arena[p].name_cache :: skip fi :: else fi;
            if :: arena[p].cache != arena[p].disk -> if :: arena[p].disk = arena[p].cache :: arena[p].disk = 0 fi :: else fi;
            arena[p].lock = 0; arena[p].name_cache = arena[p].name_disk; arena[p].cache = arena[p].disk;
            p++
        :: else -> break
        od;
        p = 0 }
    od
}

/*
 * What the processes of memdb.pml share, and the steps that they make on it: the files of the log, the catalog with its
 * companion, the control file, locks, and what was promised to whom.
 *
 * An LSN is the number of a frame, 1 to LSNS. Each thing in a file exists twice: as every process sees it (cache) and as
 * the disk holds it; a sync copies the first to the second. A cell of the log holds nothing (0), bytes that do not verify
 * (TORN) or the number of a frame. A log segment is named by its epoch and owns the LSNs from its start on, up to the
 * start of a segment of a higher epoch. The catalog is one variable: LMDB's commit is atomic and durable.
 */
#ifndef LSNS
#define LSNS 2
#endif
#ifndef FRAMES
#define FRAMES 3            /* commits; seals come on top */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef POWER_LOSSES
#define POWER_LOSSES 1
#endif
#ifndef CHECKPOINTS
#define CHECKPOINTS 0
#endif
#ifndef SNAPSHOTS
#define SNAPSHOTS 0
#endif
#ifndef ROLLS
#define ROLLS 0             /* segments left because they are full */
#endif
#ifndef FAULTS
#define FAULTS 0            /* syncs and writes of the log that fail */
#endif
#ifndef CONFLICTS
#define CONFLICTS 0         /* transactions that exclude whatever was committed since their snapshot */
#endif
#ifndef READERS
#define READERS 0           /* read-only openings */
#endif
#ifndef LESSER
#define LESSER 1            /* 1: commits of the level os too; 2: and of the level none */
#endif
#ifndef DIRECT
#define DIRECT 0            /* 1: batches may be written past the page cache, durable at once */
#endif
#ifndef TAILS
#define TAILS 0             /* 1: batches carry the durable LSN, and who ends the log looks for damage */
#endif
#ifndef RECYCLE
#define RECYCLE 0           /* 1: the file of a segment that was cut serves again */
#endif
#ifndef EPOCHS
#define EPOCHS (2 + KILLS + POWER_LOSSES + ROLLS + FAULTS)
#endif
#define PROCESSES 2
#define CELLS (LSNS + 1)
#define NUMBERS (FRAMES + CHECKPOINTS + 2)
#define TORN 99
#define FREE 0
#define DEAD 98
#define WHOLE(frame) (frame != 0 && frame != TORN)
#define BIT(lsn) (1 << (lsn))

/* Levels of a commit. A seal is a full commit of the checkpoint's. */
#define NONE 1
#define OS 2
#define FULL 3
#define SEAL 4

/* ------------------------------------------------------------------ files */
typedef Segment {
    byte start_cache; byte start_disk;          /* first LSN of the file under this name; 0: no such name */
    byte cache[CELLS]; byte disk[CELLS];
    byte lost;                                  /* cells that a failed sync left clean: no later sync writes them */
    byte home;                                  /* the epoch that the file serves since it was recycled; 0: this one */
    bool died                                   /* its writer died: a write may still reach the file */
};
Segment log[EPOCHS];
byte spare = EPOCHS;                            /* the segment whose file is kept for reuse; EPOCHS: none */
byte file_cache[3]; byte file_disk[3];          /* segment files of the stores: LSN that they hold, plus 1 */
byte applied; byte named;                       /* the catalog: applied LSN, and the file that it names */
byte companion[2];                              /* beside the catalog: LSNs, plus 1, of the bases whose hash it has */
byte base[CELLS];                               /* what the named file says */

/* ------------------------------------------------------------------ the control file and the lock file */
bool control = 1;                               /* the file is there, of this boot or an earlier one */
bool valid;                                     /* and it is this life's */
byte written; byte durable; byte epoch;
byte told;                                      /* its word `applied` */
bool failed;
bool syncing;                                   /* a sync of the log is under way, or its owner died in it */
byte writer; byte syncer;                       /* robust mutexes: owner, FREE or DEAD */
byte gate; byte checkpointer;                   /* file locks: the kernel drops them with their owner */
byte present[PROCESSES + 1];

/* ------------------------------------------------------------------ writes under way, and those of the dead */
typedef Write { byte lsn; byte epoch; byte frame };
Write under_way[PROCESSES + 1];
Write late;
bool doomed[PROCESSES + 1];
bool begun;                                     /* somebody has tried to open */

/* ------------------------------------------------------------------ frames; what was promised; bounds of the search */
byte parent[NUMBERS];                           /* the frame that the writer saw before it */
byte carried[NUMBERS];                          /* the durable LSN that its batch names */
bool seals[NUMBERS];
byte promise_full[CELLS]; byte promise_os[CELLS]; byte promise_seen[CELLS];
byte next_frame = 1; byte commits;
byte kills; byte power_losses; byte checkpoints; byte snapshots; byte rolls; byte faults; byte conflicts; byte readers;

/* Scratch of d_steps: never read before it is set there. */
hidden byte i_; hidden byte j_; hidden byte k_; hidden byte l_;

/* ------------------------------------------------------------------ reading the log */

/* The frame at an LSN, as its owner segment holds it: the highest epoch that starts there or before. */
inline frame_at(lsn_, out) {
    out = 0; i_ = 0;
    do
    :: i_ < EPOCHS ->
        if
        :: log[i_].start_cache != 0 && log[i_].start_cache <= (lsn_) -> out = log[i_].cache[lsn_]; l_ = i_
        :: else
        fi;
        i_++
    :: else -> break
    od;
    i_ = 0                                      /* a d_step must not end in a loop */
}

/* Move x to the last whole frame that follows it without a gap. Whole frames of the same segment behind the gap are a
 * torn tail, unless one carries a durable LSN beyond it: that would be damage, which nothing here causes (rule 2). A file
 * under a segment's name has the header of that segment (rule 19). */
inline find_end(x) {
    d_step {
        i_ = 0;
        do :: i_ < EPOCHS -> assert(log[i_].start_cache == 0 || log[i_].home == 0); i_++ :: else -> break od;
        j_ = 1;
        do
        :: j_ == 1 && x < LSNS -> frame_at(x + 1, k_); if :: WHOLE(k_) -> x++ :: else -> j_ = 0 fi
        :: else -> break
        od;
        if
        :: x < LSNS ->
            frame_at(x + 1, k_); j_ = x + 2;
            do
            :: j_ <= LSNS ->
                k_ = log[l_].cache[j_];
                if :: WHOLE(k_) -> assert(carried[k_] <= x) :: else fi;
                j_++
            :: else -> break
            od
        :: else
        fi;
        j_ = 0
    }
}

/* ------------------------------------------------------------------ syncing */

/* Cells that an earlier sync failed to write are clean: only writing them again makes them count. */
inline copy_to_disk(e) {
    i_ = 1;
    do
    :: i_ <= LSNS ->
        if :: (log[e].lost & BIT(i_)) == 0 -> log[e].disk[i_] = log[e].cache[i_] :: else fi;
        i_++
    :: else -> break
    od
}

inline sync_segment(e) {
    d_step { copy_to_disk(e); i_ = 0 }
}

inline sync_all() {
    d_step {
        j_ = 0;
        do :: j_ < EPOCHS -> copy_to_disk(j_); j_++ :: else -> break od;
        j_ = 0
    }
}

/* A sync fails: the kernel gives up what was to be written, tells one caller, and counts the pages as clean. What was
 * acknowledged as written rests on a page cache that may forget it now. */
inline lose() {
    j_ = 0;
    do
    :: j_ < EPOCHS ->
        i_ = 1;
        do
        :: i_ <= LSNS ->
            if
            :: log[j_].cache[i_] != log[j_].disk[i_] -> log[j_].lost = log[j_].lost | BIT(i_)
            :: else
            fi;
            if :: i_ > durable -> promise_os[i_] = 0 :: else fi;
            i_++
        :: else -> break
        od;
        j_++
    :: else -> break
    od
}

/* Write again, in place, what is not durable yet: it lies in the newest segment, and nobody else changes it. */
inline write_again() {
    i_ = 0;
    do
    :: i_ < EPOCHS -> log[i_].lost = log[i_].lost & (256 - BIT(written + 1) + BIT(durable + 1) - 1); i_++
    :: else -> break
    od;
    j_ = durable + 1;
    do
    :: j_ <= written -> frame_at(j_, k_); if :: !WHOLE(k_) -> failed = 1 :: else fi; j_++
    :: else -> break
    od
}

/* Take the sync mutex; `bad` when the database failed meanwhile. Where syncs may fail, a word in control says that one is
 * under way. */
inline take_syncer() {
    if
    :: atomic { syncer == FREE -> syncer = me; bad = failed; syncing = FAULTS > 0 }
    :: atomic { syncer == DEAD -> syncer = me;
           /* Its owner may have been told of a failure, and died before it passed it on. */
#ifndef MUTANT_SYNC_DEATH_FORGOTTEN
           d_step { if :: syncing -> write_again() :: else fi; i_ = 0 };
#endif
           bad = failed; syncing = FAULTS > 0 }
    fi
}

inline raise_durable(to) {
    if :: durable < (to) -> durable = to :: else fi
}

/* ------------------------------------------------------------------ segments: made and cut */

/* Open a new log segment that starts at LSN `first`, with the frames up to `last` copied into it: one above every header
 * found. Its header, and what is copied, are synced under another name before; the rename and the sync of the directory
 * are the two steps that others can see. A file that served before first loses its old name for good. After a death the
 * segments so far may still receive a write of the dead (rule 1). */
inline new_segment(first, last, after_death, e) {
    d_step {
        i_ = 0;
        do
        :: i_ < EPOCHS -> if :: RECYCLE && (after_death) && log[i_].start_cache != 0 -> log[i_].died = 1 :: else fi; i_++
        :: else -> break
        od;
        e = EPOCHS;
        do
        :: e > 0 && log[e - 1].start_cache == 0 && log[e - 1].start_disk == 0 -> e--
        :: else -> break
        od;
        assert(e < EPOCHS);                     /* the bound of the search is large enough */
        i_ = 1;
        do :: i_ <= LSNS -> log[e].cache[i_] = 0; log[e].disk[i_] = 0; i_++ :: else -> break od
    };
#if RECYCLE
    if
    :: spare < EPOCHS ->
#ifndef MUTANT_RECYCLE_UNRENAMED
        d_step { log[spare].start_disk = 0 };
#endif
        d_step {
            /* Bytes of an older epoch do not verify. */
            log[spare].home = e;
            i_ = 1;
            do
            :: i_ <= LSNS ->
#ifdef MUTANT_EPOCHLESS
                log[e].cache[i_] = (i_ >= first -> log[spare].cache[i_ - (first) + 1] : 0);  /* it started at LSN 1 */
#else
                log[e].cache[i_] = TORN;
#endif
                log[e].disk[i_] = log[e].cache[i_]; i_++
            :: else -> break
            od;
            spare = EPOCHS
        }
    :: else
    fi;
#endif
    d_step {
        i_ = first;
        do
        :: i_ <= last ->
            j_ = i_; frame_at(j_, k_); i_ = j_;
            if :: !WHOLE(k_) -> bad = 1 :: else -> carried[k_] = 0 fi;  /* the page cache forgot it meanwhile */
            log[e].cache[i_] = k_; log[e].disk[i_] = k_; i_++
        :: else -> break
        od;
        if
        :: bad -> i_ = 1; do :: i_ <= LSNS -> log[e].cache[i_] = 0; log[e].disk[i_] = 0; i_++ :: else -> break od
        :: else -> log[e].start_cache = first
        fi;
        i_ = 0
    };
#ifndef MUTANT_PUBLISH_UNSYNCED
    d_step {
        i_ = 0;
        do :: i_ < EPOCHS -> log[i_].start_disk = log[i_].start_cache; i_++ :: else -> break od
    };
#endif
    skip
}

/* A segment whose successor starts at or below the cut is given up: kept for reuse or unlinked. Its name may outlive a
 * power loss until the directory is synced, when the next segment is made at the latest. */
inline cut(to) {
    d_step {
        j_ = 0;
        do
        :: j_ < EPOCHS ->
            k_ = j_ + 1; l_ = 0;
            do
            :: k_ < EPOCHS ->
                if :: log[k_].start_cache != 0 && log[k_].start_cache <= (to) + 1 -> l_ = 1 :: else fi;
                k_++
            :: else -> break
            od;
            if
            :: l_ == 1 && log[j_].start_cache != 0 && j_ < epoch ->
                log[j_].start_cache = 0;
                if
#ifdef MUTANT_RECYCLE_DEAD
                :: RECYCLE -> spare = j_
#else
                :: RECYCLE && log[j_].died == 0 -> spare = j_
#endif
                :: else
                fi
            :: else
            fi;
            i_ = 1;
            do
            :: i_ <= (to) ->
#ifdef MUTANT_EPOCHLESS
                if :: j_ == spare -> skip :: else -> log[j_].cache[i_] = 0; log[j_].disk[i_] = 0 fi;
#else
                log[j_].cache[i_] = 0; log[j_].disk[i_] = 0;
#endif
                i_++
            :: else -> break
            od;
            j_++
        :: else -> break
        od;
        j_ = 0
    }
}

/* ------------------------------------------------------------------ what must hold */

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

/* What is read up to v, the base up to b and then `view`, is one unbroken history with all that was promised. */
inline check_history(b, v) {
    i_ = 1; j_ = 0;
    do
    :: i_ <= v ->
        if :: i_ <= b -> k_ = base[i_] :: else -> k_ = view[i_] fi;
        assert(WHOLE(k_) && parent[k_] == j_);
        assert(promise_full[i_] == 0 || promise_full[i_] == k_);
        assert(promise_os[i_] == 0 || promise_os[i_] == k_);
        assert(promise_seen[i_] == 0 || promise_seen[i_] == k_);
        j_ = k_; i_++
    :: else -> break
    od
}

/* The last LSN that was promised to survive a power loss, or, with `os`, a kill. */
inline last_promise(os, out) {
    out = LSNS;
    do
    :: out > 0 && promise_full[out] == 0 && !((os) && promise_os[out] != 0) -> out--
    :: else -> break
    od
}

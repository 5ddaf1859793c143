// Ctrl-C while a command runs. The handler does what is safe in one: it counts, and calls
// memdb_interrupt.
#include "cli/cli_interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

// Relaxed, all of them: the handler runs on a thread that set them before, or a little later.
static _Atomic(memdb_t *) running;
static atomic_uint signals;

static void on_signal(int number) {
    memdb_t *db = atomic_load_explicit(&running, memory_order_relaxed);
    if (!db)
        return; // between two commands
    if (atomic_fetch_add_explicit(&signals, 1, memory_order_relaxed)) {
        signal(number, SIG_DFL);
        raise(number);
    }
    memdb_interrupt(db);
}

void cli_interrupt_begin(memdb_t *db) {
    struct sigaction action = {.sa_handler = on_signal}; // without SA_RESTART: reads end too
    sigemptyset(&action.sa_mask);
    atomic_store_explicit(&signals, 0, memory_order_relaxed);
    atomic_store_explicit(&running, db, memory_order_relaxed);
    sigaction(SIGINT, &action, NULL);
}

void cli_interrupt_end(void) {
    atomic_store_explicit(&running, NULL, memory_order_relaxed);
    atomic_store_explicit(&signals, 0, memory_order_relaxed);
}

bool cli_interrupted(void) {
    return atomic_load_explicit(&signals, memory_order_relaxed) != 0;
}

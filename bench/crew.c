// Workers that work in slices. See crew.h.
//
// Workers and conductor meet at one barrier: before each slice, and after it. What they tell each
// other lies in memory that processes share.
#include "bench/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct crew {
    crew_plan_t plan;
    char path[1024];
    void *store; // of the threads
    pthread_barrier_t meeting;
    _Atomic bool stop, leave;
    union {
        pthread_t thread;
        pid_t process;
    } ids[CREW_WORKERS];
    crew_worker_t workers[CREW_WORKERS];
};

// ------------------------------------------------------------------------------ workers

static void *work_in_slices(void *context) {
    crew_worker_t *worker = context;
    crew_t *crew = worker->crew;
    const store_api_t *api = crew->plan.api;
    worker->session = api->begin(worker->store);
    for (;;) {
        pthread_barrier_wait(&crew->meeting);
        // relaxed, both: the barrier orders the first, the second only ends the loop
        if (atomic_load_explicit(&crew->leave, memory_order_relaxed))
            break;
        worker->times = (bench_times_t){0};
        while (!atomic_load_explicit(&crew->stop, memory_order_relaxed)) {
            uint64_t before = bench_nanoseconds();
            crew->plan.work(worker);
            bench_times_add(&worker->times, bench_nanoseconds() - before);
        }
        worker->finished = bench_seconds();
        pthread_barrier_wait(&crew->meeting);
    }
    api->end(worker->session);
    return NULL;
}

static void start_thread(crew_t *crew, unsigned number) {
    crew_worker_t *worker = &crew->workers[number];
    worker->store = crew->store;
    if (pthread_create(&crew->ids[number].thread, NULL, work_in_slices, worker))
        bench_stop("cannot start a thread", "");
}

/// A process ended before its time: nobody waits at the barrier for it.
static void end_with_it(int signal_number) {
    (void)signal_number;
    _exit(1);
}

static void start_process(crew_t *crew, unsigned number) {
    const crew_plan_t *plan = &crew->plan;
    crew_worker_t *worker = &crew->workers[number];
    pid_t child = fork();
    if (child < 0)
        bench_stop("cannot start a process", "");
    crew->ids[number].process = child ? child : getpid();
    if (child)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    worker->store = plan->api->open(crew->path, &plan->options);
    work_in_slices(worker);
    plan->api->close(worker->store);
    _exit(0);
}

// ------------------------------------------------------------------------------ the conductor

/// Make and fill the store before anybody races to do so.
static void open_store(crew_t *crew) {
    const crew_plan_t *plan = &crew->plan;
    bench_folder_make(plan->at, "crew", crew->path, sizeof crew->path);
    crew->store = plan->api->open(crew->path, &plan->options);
    if (plan->load) {
        void *session = plan->api->begin(crew->store);
        plan->load(session, plan);
        plan->api->end(session);
    }
    if (plan->processes)
        plan->api->close(crew->store);
}

static crew_t *make_crew(const crew_plan_t *plan) {
    crew_t *crew =
        mmap(NULL, sizeof *crew, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t attributes;
    if (crew == MAP_FAILED || plan->workers > CREW_WORKERS)
        bench_stop("no room for the workers", "");
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&crew->meeting, &attributes, plan->workers + 1);
    crew->plan = *plan;
    open_store(crew);
    signal(SIGCHLD, plan->processes ? end_with_it : SIG_DFL);
    for (unsigned i = 0; i < plan->workers; i++) {
        crew->workers[i].crew = crew;
        crew->workers[i].plan = plan;
        crew->workers[i].number = i;
        if (plan->processes)
            start_process(crew, i);
        else
            start_thread(crew, i);
    }
    return crew;
}

/// One slice. Returns its seconds.
static double run_slice(crew_t *crew, double seconds) {
    atomic_store_explicit(&crew->stop, false, memory_order_relaxed);
    pthread_barrier_wait(&crew->meeting);
    double began = bench_seconds(), last = began;
    usleep((useconds_t)(seconds * 1e6));
    atomic_store_explicit(&crew->stop, true, memory_order_relaxed);
    pthread_barrier_wait(&crew->meeting);
    for (unsigned i = 0; i < crew->plan.workers; i++)
        last = crew->workers[i].finished > last ? crew->workers[i].finished : last;
    return last - began;
}

const bench_times_t *crew_times(const crew_t *crew, unsigned number) {
    return &crew->workers[number].times;
}

static void end_crew(crew_t *crew) {
    signal(SIGCHLD, SIG_DFL);
    atomic_store_explicit(&crew->leave, true, memory_order_relaxed);
    pthread_barrier_wait(&crew->meeting);
    for (unsigned i = 0; i < crew->plan.workers; i++) {
        int status = 0;
        if (!crew->plan.processes)
            pthread_join(crew->ids[i].thread, NULL);
        else if (waitpid(crew->ids[i].process, &status, 0) < 0 || status != 0)
            bench_stop("a process failed", crew->plan.api->name);
    }
    if (!crew->plan.processes)
        crew->plan.api->close(crew->store);
    bench_folder_remove(crew->path);
    pthread_barrier_destroy(&crew->meeting);
    munmap(crew, sizeof *crew);
}

// ------------------------------------------------------------------------------ rounds

static void add_round(crew_rounds_t *rounds, double value) {
    if (rounds->count == CREW_ROUNDS)
        bench_stop("too many rounds", "");
    unsigned at = rounds->count++;
    for (; at && rounds->sorted[at - 1] > value; at--)
        rounds->sorted[at] = rounds->sorted[at - 1];
    rounds->sorted[at] = value;
}

double crew_rounds_at(const crew_rounds_t *rounds, double part) {
    return rounds->count ? rounds->sorted[(unsigned)(part * (rounds->count - 1) + 0.5)] : 0;
}

const char *crew_ratio(const crew_side_t *side, unsigned figure, char *text, size_t size) {
    const crew_rounds_t *ratios = &side->ratios[figure];
    text[0] = 0;
    if (ratios->count)
        snprintf(text, size, "%.2f (%.2f to %.2f)", crew_rounds_at(ratios, 0.5),
                 crew_rounds_at(ratios, 0.25), crew_rounds_at(ratios, 0.75));
    return text;
}

static void add_ratios(crew_side_t *side, const crew_side_t *first) {
    for (unsigned i = 0; i < CREW_FIGURES; i++) {
        add_round(&side->rounds[i], side->figures[i]);
        if (side != first && side->figures[i] > 0)
            add_round(&side->ratios[i], first->figures[i] / side->figures[i]);
    }
}

void crew_compare(crew_side_t *sides, unsigned count, unsigned rounds, double seconds,
                  void (*measure)(crew_side_t *side, double passed)) {
    for (unsigned i = 0; i < count; i++)
        sides[i].crew = make_crew(&sides[i].plan);
    for (unsigned i = 0; i < count; i++)
        run_slice(sides[i].crew, seconds);
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < count; i++) {
            crew_side_t *side = &sides[round % 2 ? count - 1 - i : i];
            measure(side, run_slice(side->crew, seconds));
        }
        for (unsigned i = 0; i < count; i++)
            add_ratios(&sides[i], sides);
    }
    for (unsigned i = 0; i < count; i++)
        end_crew(sides[i].crew);
}

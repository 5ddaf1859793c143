// The seeded source of every choice: splitmix64. A chooser is a value, so that a part of a run can
// be repeated without the rest.
#ifndef MEMDB_TESTS_CHOICE_H
#define MEMDB_TESTS_CHOICE_H

#include <stdint.h>

typedef struct choice {
    uint64_t state;
} choice_t;

/// A chooser of its own for each pair of numbers.
static inline choice_t choice_of(uint64_t seed, uint64_t number) {
    return (choice_t){seed * UINT64_C(0xd1342543de82ef95) + number * UINT64_C(0xaf251af3b0f025b5)};
}

static inline uint64_t choose_bits(choice_t *choice) {
    uint64_t z = choice->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/// A number below `below`, which is not 0.
static inline uint64_t choose(choice_t *choice, uint64_t below) {
    return choose_bits(choice) % below;
}

#endif

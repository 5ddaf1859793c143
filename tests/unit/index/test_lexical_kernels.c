// The scans of all levels are equal to the scalar ones, whose meaning is checked against a plain
// loop.
#include "index/lexical/lexical_kernels.h"
#include "tests/unit/index/test_lexical_fixture.h"

#define PLACES 4096u

typedef struct arrays {
    _Alignas(64) uint8_t narrow[PLACES];
    _Alignas(64) uint16_t wide[PLACES];
} arrays_t;

static void check(const memdb__words_kernels_t *kernels, const arrays_t *arrays, bool wide,
                  uint32_t count, uint32_t low, uint32_t high, uint32_t room) {
    uint32_t place = 0, above = 0;
    uint16_t places[PLACES];
    for (uint32_t from = 0; from < count;) {
        uint32_t found;
        uint32_t next =
            wide ? kernels->scan16(arrays->wide, from, count, low, high, places, room, &found)
                 : kernels->scan8(arrays->narrow, from, count, low, high, places, room, &found);
        assert_true(found <= room);
        assert_true(next > from && (next == count || next % 64 == 0));
        for (uint32_t i = 0; i < found; i++, place++) {
            while (place < places[i]) { // all that was left out does not belong
                uint32_t value = wide ? arrays->wide[place] : arrays->narrow[place];
                assert_false(value >= low && value <= high);
                place++;
            }
            uint32_t value = wide ? arrays->wide[place] : arrays->narrow[place];
            assert_true(value >= low && value <= high);
        }
        from = next;
    }
    for (; place < count; place++) {
        uint32_t value = wide ? arrays->wide[place] : arrays->narrow[place];
        assert_false(value >= low && value <= high);
    }
    for (uint32_t i = 0; i < count; i++) {
        above += (wide ? arrays->wide[i] : arrays->narrow[i]) >= low;
    }
    assert_int_equal(wide ? kernels->count16(arrays->wide, count, low)
                          : kernels->count8(arrays->narrow, count, low),
                     above);
}

static void test_kernels_scans_find_what_a_loop_finds(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    arrays_t *arrays = memdb__allocate_aligned(sizeof *arrays);
    for (int level = MEMDB__WORDS_SCALAR; level <= MEMDB__WORDS_AVX512; level++) {
        const memdb__words_kernels_t *kernels =
            memdb__words_kernels_at((memdb__words_level_t)level);
        for (int round = 0; kernels && round < 400; round++) {
            uint32_t count = 1 + (uint32_t)(random_next(&seed) % PLACES), rare = round % 3 ? 64 : 1;
            memset(arrays, 0, sizeof *arrays);
            for (uint32_t i = 0; i < count; i++) {
                arrays->narrow[i] = random_next(&seed) % rare ? 0 : (uint8_t)random_next(&seed);
                arrays->wide[i] = random_next(&seed) % rare ? 0 : (uint16_t)random_next(&seed);
            }
            uint32_t room = round % 2 ? 64 : 1024;
            uint32_t low = 1 + (uint32_t)(random_next(&seed) % 255);
            check(kernels, arrays, false, count, low,
                  low + (uint32_t)(random_next(&seed) % (256 - low)), room);
            check(kernels, arrays, false, count, low, 255, room);
            low = 1 + (uint32_t)(random_next(&seed) % 65535);
            check(kernels, arrays, true, count, low,
                  low + (uint32_t)(random_next(&seed) % (65536 - low)), room);
            check(kernels, arrays, true, count, 1, 65535, room);
        }
    }
    memdb__free_aligned(arrays);
}

static void test_kernels_best_level_is_there(void **state) {
    (void)state;
    assert_non_null(memdb__words_kernels());
    assert_ptr_equal(memdb__words_kernels(),
                     memdb__words_kernels_at(memdb__words_kernels()->level));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels_scans_find_what_a_loop_finds),
        cmocka_unit_test(test_kernels_best_level_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

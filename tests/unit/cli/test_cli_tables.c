// Tables through the shell: they are listed, and a dump refuses a database that has some.
#include "include/memdb_runtime.h"
#include "tests/lib/database.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/// What the shell says, and its exit code.
static int ask(const fixture_t *fixture, const char *words, char *said, size_t size) {
    char command[600];
    snprintf(command, sizeof command, "'%s' --json '%s' %s 2>&1", MEMDB_SHELL, fixture->path,
             words);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    said[fread(said, 1, size - 1, pipe)] = 0;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_cli_tables_are_listed_and_not_dumped(void **state) {
    fixture_t *fixture = *state;
    const uint64_t multipliers[] = {3, 5}, primes[] = {7, 11}, offsets[] = {0, 7};
    memdb_table_info_t info = {.size = sizeof info,
                               .name = text("engram"),
                               .rows = 100,
                               .dimension = 64,
                               .dtype = MEMDB_DTYPE_E4M3,
                               .scale_group = 32,
                               .hashing = {.layers = 1,
                                           .min_order = 1,
                                           .max_order = 2,
                                           .heads = 1,
                                           .multipliers = multipliers,
                                           .primes = primes,
                                           .offsets = offsets}};
    memdb_txn_t *txn;
    char said[1000];
    assert_int_equal(ask(fixture, "tables", said, sizeof said), 0);
    assert_string_equal(said, "{\"ok\":true,\"tables\":[]}\n");
    assert_int_equal(ask(fixture, "dump", said, sizeof said), 0);
    must(fixture->db, memdb_txn_begin(fixture->db, &txn));
    must(fixture->db, memdb_table_create(txn, &info));
    must(fixture->db, memdb_txn_commit(txn, MEMDB_DURABILITY_FULL, NULL));
    assert_int_equal(ask(fixture, "tables", said, sizeof said), 0);
    assert_string_equal(said, "{\"ok\":true,\"tables\":[{\"name\":\"engram\",\"rows\":100,"
                              "\"dimension\":64,\"dtype\":\"e4m3\",\"row_bytes\":66,\"hash\":{"
                              "\"layers\":1,\"min_order\":1,\"max_order\":2,\"heads\":1,"
                              "\"tokens\":0}}]}\n");
    assert_int_equal(ask(fixture, "dump", said, sizeof said), 1);
    assert_non_null(strstr(said, "has tables, which a dump does not hold: take a backup"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cli_tables_are_listed_and_not_dumped, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

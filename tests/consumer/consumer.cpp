// The public header in C++: handles in unique_ptr, errors as exceptions, the same round trip as
// consumer.c.
#include <iostream>
#include <memdb.h>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

void check(memdb_status_t status) {
    if (status != MEMDB_OK)
        throw std::runtime_error(memdb_status_text(status));
}

memdb_bytes_t bytes(const std::string &text) {
    return {text.data(), text.size()};
}

struct Close {
    void operator()(memdb_t *db) const {
        memdb_close(db);
    }
    void operator()(memdb_snapshot_t *snapshot) const {
        memdb_snapshot_end(snapshot);
    }
    void operator()(memdb_filter_t *filter) const {
        memdb_filter_free(filter);
    }
};

void round_trip(const char *path) {
    memdb_options_t options{};
    options.size = sizeof options;
    options.flags = MEMDB_OPEN_CREATE;
    memdb_t *opened = nullptr;
    memdb_error_t error;
    if (memdb_open(path, &options, &opened, &error) != MEMDB_OK)
        throw std::runtime_error(error.message);
    std::unique_ptr<memdb_t, Close> db(opened);

    const std::string name = "main", key = "first", text = "saffron grows beyond the meadow";
    memdb_txn_t *txn = nullptr;
    check(memdb_txn_begin(db.get(), &txn));
    memdb_space_t space = 0;
    check(memdb_space_ensure(txn, bytes(name), &space));
    memdb_memory_t memory{};
    memory.size = sizeof memory;
    memory.fields = MEMDB_FIELD_KEY | MEMDB_FIELD_TEXT;
    memory.key = bytes(key);
    memory.text = bytes(text);
    check(memdb_put(txn, space, &memory, nullptr));
    check(memdb_txn_commit(txn, MEMDB_DURABILITY_DEFAULT, nullptr));

    memdb_snapshot_t *begun = nullptr;
    check(memdb_snapshot_begin(db.get(), nullptr, &begun));
    std::unique_ptr<memdb_snapshot_t, Close> snapshot(begun);
    memdb_memory_t found{};
    found.size = sizeof found;
    check(memdb_get_by_key(snapshot.get(), space, bytes(key), &found));
    if (std::string(found.text.data, found.text.size) != text)
        throw std::runtime_error("another text came back");

    memdb_value_t param{};
    param.kind = MEMDB_VALUE_TEXT;
    param.text = bytes(key);
    const std::string condition = "key = ? and text contains 'meadow'";
    memdb_filter_t *parsed = nullptr;
    if (memdb_filter_parse(bytes(condition), &param, 1, &parsed, &error) != MEMDB_OK)
        throw std::runtime_error(error.message);
    std::unique_ptr<memdb_filter_t, Close> filter(parsed);
    memdb_cursor_options_t listing{};
    listing.size = sizeof listing;
    listing.filter = filter.get();
    memdb_cursor_t *cursor = nullptr;
    check(memdb_cursor_open(snapshot.get(), space, &listing, &cursor));
    const memdb_status_t first = memdb_cursor_next(cursor, &found);
    const memdb_status_t second = memdb_cursor_next(cursor, &found);
    memdb_cursor_close(cursor);
    if (first != MEMDB_OK || second != MEMDB_DONE)
        throw std::runtime_error("the filter let another number pass");
    std::cout << memdb_version() << ": " << text << "\n";
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    try {
        round_trip(argv[1]);
    } catch (const std::exception &problem) {
        std::cerr << problem.what() << "\n";
        return 1;
    }
    return 0;
}

// The list of stores, and what they say of themselves.
#include "bench/stores.h"

#include <stdio.h>

const store_api_t *const stores[] = {&store_memdb,
                                     &store_memdb_words,
                                     &store_sqlite,
                                     &store_lmdb,
#ifdef MEMDB_WITH_ROCKSDB
                                     &store_rocksdb,
#endif
                                     NULL};

void stores_describe(store_level_t level) {
    for (size_t i = 0; stores[i]; i++)
        printf("  %-8s %-8s %s\n", stores[i]->name, stores[i]->version(),
               stores[i]->settings[level]);
}

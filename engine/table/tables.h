// Model tables as a store of the one log: a table is a name, a description and rows, all entries of
// the ordered map, so that commits, snapshots, folds, backups and recovery treat them as everything
// else.
//
//   'M' name -> table u32        'U' table u32 -> description        'P' table u32, row u64 -> row
//
// A row's value is its bytes and, where the table keeps one, the sum of Adagrad (f32). A row that
// was never written has no entry. Numbers of tables are those of spaces: never reused.
#ifndef MEMDB_ENGINE_TABLE_TABLES_H
#define MEMDB_ENGINE_TABLE_TABLES_H

#include "engine/engine.h"
#include "engine/table/description.h"

struct memdb_table {
    memdb_t *db;
    uint32_t number;
    memdb__table_description_t description;
    memdb__hasher_t hasher;
};

#endif

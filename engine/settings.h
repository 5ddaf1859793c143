// Settings: what is chosen for a database as a whole, and seen alike by every process.
//
// A setting is an entry of the ordered map ('O' and its name), written by an operation of its own,
// so it is committed, followed, folded and backed up like everything else, and a snapshot sees the
// settings of its moment. One that is not there has the value 0, its default. Another setting is a
// field of memdb_settings_t and a line in the table of settings.c.
#ifndef MEMDB_ENGINE_SETTINGS_H
#define MEMDB_ENGINE_SETTINGS_H

#include "engine/engine.h"

/// The age at which a snapshot ends where no other limit is set: far above what a request, a
/// listing or an export needs, and low enough that what it holds back is given up while the process
/// still runs.
#define MEMDB__DEFAULT_SNAPSHOT_LIMIT_US (INT64_C(3600) * 1000000)

/// The settings that a sight sees.
memdb_status_t memdb__settings_read(const memdb__sight_t *sight, memdb_settings_t *settings_out,
                                    memdb_error_t *error);
/// Read again what the handle keeps of them. The caller holds db->apply, or is alone.
memdb_status_t memdb__settings_refresh(memdb_t *db, memdb_error_t *error);

#endif

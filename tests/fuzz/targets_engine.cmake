# Decoders of engine/.
memdb_fuzz(payload memdb_engine memdb_index memdb_blob memdb_wal memdb_base)
memdb_fuzz(root memdb_engine memdb_index memdb_blob memdb_wal memdb_base)
memdb_fuzz(salvage memdb_engine memdb_index memdb_blob memdb_wal memdb_base)
memdb_fuzz(history memdb_engine memdb_index memdb_blob memdb_wal memdb_base)
memdb_fuzz(backup_state memdb_engine memdb_index memdb_blob memdb_wal memdb_base)

# Decoders of wal/.
memdb_fuzz(frame memdb_base memdb_wal)
memdb_fuzz(control memdb_base memdb_wal)

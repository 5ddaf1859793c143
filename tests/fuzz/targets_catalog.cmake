memdb_fuzz(lmdb memdb_base memdb_wal memdb_blob memdb_index memdb_engine PkgConfig::LMDB)
memdb_fuzz(manifest memdb_base memdb_wal memdb_blob memdb_index memdb_engine PkgConfig::LMDB)

memdb_fuzz(lmdb memdb_engine memdb_base PkgConfig::LMDB)
memdb_fuzz(manifest memdb_engine memdb_base PkgConfig::LMDB)

memdb_fuzz(extent memdb_blob memdb_base)

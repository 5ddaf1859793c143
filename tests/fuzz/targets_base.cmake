memdb_fuzz(container memdb_base)
memdb_fuzz(sorted memdb_base)

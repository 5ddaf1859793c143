# The filter language of query/.
memdb_fuzz(filter memdb_query memdb_engine memdb_index memdb_blob memdb_wal memdb_base)

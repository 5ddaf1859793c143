# The filter language of query/, the times that a question names, boolean questions, and pages.
memdb_fuzz(filter memdb_query memdb_engine memdb_index memdb_blob memdb_wal memdb_base)
memdb_fuzz(when memdb_query memdb_engine memdb_index memdb_blob memdb_wal memdb_base)
memdb_fuzz(boolean memdb_query memdb_engine memdb_index memdb_blob memdb_wal memdb_base)
memdb_fuzz(page memdb_query memdb_engine memdb_index memdb_blob memdb_wal memdb_base)

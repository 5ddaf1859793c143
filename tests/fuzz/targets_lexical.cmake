memdb_fuzz(bag memdb_index memdb_base)
memdb_fuzz(words_segment memdb_index memdb_base)

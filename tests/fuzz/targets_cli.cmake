memdb_fuzz(json_lines memdb_cli memdb_static)

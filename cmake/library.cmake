# The library: the folders' objects joined, as libmemdb.so and libmemdb.a, and what an installation holds:
# both libraries, the public header, a CMake package (memdb::memdb; memdb::memdb_static as component "static")
# and memdb.pc. Nothing installed names a folder of the machine that built it.
set(memdb_folders memdb_base memdb_wal memdb_blob memdb_index memdb_engine memdb_query)
set(memdb_objects "")
foreach(folder IN LISTS memdb_folders)
    list(APPEND memdb_objects $<TARGET_OBJECTS:${folder}>)
endforeach()
set(memdb_pkgconfig XXHASH LMDB URING UTF8PROC JANSSON)
# By name: the found path (STEMMER_LIBRARY) would end up in the installed package.
set(memdb_libraries Threads::Threads stemmer m)
foreach(module IN LISTS memdb_pkgconfig)
    list(APPEND memdb_libraries PkgConfig::${module})
endforeach()

add_library(memdb SHARED ${memdb_objects})
add_library(memdb_static STATIC ${memdb_objects})
set_target_properties(memdb PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)
set_target_properties(memdb_static PROPERTIES OUTPUT_NAME memdb)
foreach(library memdb memdb_static)
    add_library(memdb::${library} ALIAS ${library})
    target_link_libraries(${library} PRIVATE ${memdb_libraries})
    target_include_directories(
        ${library} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
target_link_options(memdb PRIVATE -Wl,--as-needed)
# An installed program finds the library beside itself, wherever the prefix was moved.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")

include(CMakePackageConfigHelpers)
set(memdb_package ${CMAKE_INSTALL_LIBDIR}/cmake/memdb)
install(TARGETS memdb EXPORT memdbTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS memdb_static EXPORT memdbStaticTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "memdb*.h")
install(EXPORT memdbTargets NAMESPACE memdb:: DESTINATION ${memdb_package})
install(EXPORT memdbStaticTargets NAMESPACE memdb:: DESTINATION ${memdb_package})
configure_package_config_file(
    ${PROJECT_SOURCE_DIR}/cmake/memdbConfig.cmake.in ${PROJECT_BINARY_DIR}/memdbConfig.cmake
    INSTALL_DESTINATION ${memdb_package} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(
    ${PROJECT_BINARY_DIR}/memdbConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/memdbConfig.cmake ${PROJECT_BINARY_DIR}/memdbConfigVersion.cmake
        DESTINATION ${memdb_package})

# memdb.pc stands in <prefix>/<libdir>/pkgconfig and finds its prefix from there.
file(RELATIVE_PATH memdb_pc_prefix /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
string(REGEX REPLACE "/$" "" memdb_pc_prefix ${memdb_pc_prefix})
configure_file(${PROJECT_SOURCE_DIR}/cmake/memdb.pc.in ${PROJECT_BINARY_DIR}/memdb.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/memdb.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

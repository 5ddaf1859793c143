// Checks of our own invariants. Bad input and bad disks are errors, never checks.
//
// MEMDB_ASSERT       in debug builds and CI: stops at once, where a debugger can look.
// MEMDB_ASSERT_SLOW  in debug builds: walks whole structures.
#ifndef MEMDB_BASE_CHECK_H
#define MEMDB_BASE_CHECK_H

#include <assert.h>

#define MEMDB_ASSERT(condition) assert(condition)

#ifdef MEMDB_SLOW_CHECKS
#define MEMDB_ASSERT_SLOW(condition) assert(condition)
#else
#define MEMDB_ASSERT_SLOW(condition) ((void)0)
#endif

#endif

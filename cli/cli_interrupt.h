// Ctrl-C while a command runs: the command ends, the shell does not.
#ifndef MEMDB_CLI_INTERRUPT_H
#define MEMDB_CLI_INTERRUPT_H

#include "include/memdb.h"

/// From now on SIGINT interrupts what runs on `db`, and does nothing where that is NULL; a second
/// one before cli_interrupt_end ends the shell, because what runs may be something that cannot be
/// interrupted.
void cli_interrupt_begin(memdb_t *db);
/// From now on SIGINT does nothing, until the next command.
void cli_interrupt_end(void);
/// Whether SIGINT came since cli_interrupt_begin; false behind cli_interrupt_end.
bool cli_interrupted(void);

#endif

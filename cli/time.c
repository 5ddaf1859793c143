// Times for people, from the text that the library prints.
#include "cli/cli_time.h"

#include <stdio.h>
#include <string.h>

void cli_time_print_short(int64_t time, char out[MEMDB_TIME_TEXT_BYTES]) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char text[MEMDB_TIME_TEXT_BYTES];
    int year, month, day, hour, minute;
    memdb_time_print(time, text);
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:", &year, &month, &day, &hour, &minute) == 5)
        snprintf(out, MEMDB_TIME_TEXT_BYTES, "%d %.3s %d %02d:%02d", day, months + 3 * (month - 1),
                 year, hour, minute);
    else
        memcpy(out, text, sizeof text);
}

// How answers look to people.
#include "cli/cli_command.h"
#include "cli/cli_time.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cli_json_t *member(const cli_json_t *object, const char *name) {
    const cli_json_t *value = cli_json_get(object, name);
    return value && cli_json_kind(value) != CLI_JSON_NULL ? value : NULL;
}

static memdb_bytes_t text_of(const cli_json_t *object, const char *name) {
    const cli_json_t *value = member(object, name);
    return value ? cli_json_bytes(value) : (memdb_bytes_t){"", 0};
}

static int64_t integer_of(const cli_json_t *object, const char *name) {
    const cli_json_t *value = member(object, name);
    return value ? cli_json_integer(value) : 0;
}

static void short_time(const cli_json_t *object, char out[MEMDB_TIME_TEXT_BYTES]) {
    int64_t time;
    out[0] = 0;
    if (member(object, "time") &&
        memdb_time_parse(text_of(object, "time"), &time, NULL) == MEMDB_OK)
        cli_time_print_short(time, out);
}

void cli_print_done(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    (void)request;
    cli_show_text(screen, CLI_GREEN, "done");
    if (member(answer, "to")) {
        cli_show_text(screen, CLI_PLAIN, ": copied to ");
        cli_show(screen, CLI_PLAIN, text_of(answer, "to"));
    }
    cli_buffer_char(&screen->out, '\n');
}

void cli_print_forgotten(cli_screen_t *screen, const cli_json_t *request,
                         const cli_json_t *answer) {
    int64_t count = integer_of(answer, "forgotten");
    (void)request;
    cli_show_text(screen, CLI_GREEN, "forgotten");
    cli_buffer_printf(&screen->out, ": %lld %s\n", (long long)count,
                      count == 1 ? "memory" : "memories");
}

void cli_print_put(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    cli_show_text(screen, CLI_GREEN, "remembered");
    cli_buffer_printf(&screen->out, " as #%lld", (long long)integer_of(answer, "id"));
    if (member(request, "key")) {
        cli_show_text(screen, CLI_PLAIN, " ");
        cli_show(screen, CLI_BOLD, text_of(request, "key"));
    }
    cli_buffer_char(&screen->out, '\n');
}

// None below half a percent is shown. A score counts from the mean of the candidates, so that a
// part may be below 0: the shares are those of all parts without their signs.
void cli_print_shares(const cli_json_t *signals, cli_buffer_t *out) {
    double sum = 0;
    bool first = true;
    for (void *at = cli_json_first(signals); at; at = cli_json_next(signals, at))
        sum += fabs(cli_json_number(cli_json_value_at(at)));
    for (void *at = cli_json_first(signals); sum > 0 && at; at = cli_json_next(signals, at)) {
        double share = 100 * cli_json_number(cli_json_value_at(at)) / sum;
        if (fabs(share) < 0.5)
            continue;
        cli_buffer_printf(out, "%s%s %.0f %%", first ? "" : ", ", cli_json_name_at(at), share);
        first = false;
    }
}

static void separate(cli_screen_t *screen, bool *any) {
    if (*any)
        cli_show_text(screen, CLI_DIM, ", ");
    *any = true;
}

#define TIME_COLUMNS 23                     // of a time and two commas
#define LEAST_ORIGIN (TIME_COLUMNS + 2 * 4) // with four columns of a name each

// "Mira, 3 May 2024 18:20, evening-2": who, when, and in which session, in at most `room` columns.
static void show_origin(cli_screen_t *screen, const cli_json_t *memory, size_t room) {
    char time[MEMDB_TIME_TEXT_BYTES];
    size_t half = room > LEAST_ORIGIN ? (room - TIME_COLUMNS) / 2 : 4;
    bool any = false;
    short_time(memory, time);
    if (member(memory, "actor")) {
        separate(screen, &any);
        cli_show_cut(screen, CLI_GREEN, text_of(memory, "actor"), half);
    }
    if (time[0]) {
        separate(screen, &any);
        cli_show_text(screen, CLI_PLAIN, time);
    }
    if (member(memory, "session")) {
        separate(screen, &any);
        cli_show_cut(screen, CLI_DIM, text_of(memory, "session"), half);
    }
}

static void print_name(const cli_json_t *memory, cli_buffer_t *out) {
    memdb_bytes_t key = text_of(memory, "key");
    cli_buffer_printf(out, "#%lld", (long long)integer_of(memory, "id"));
    if (key.size) {
        cli_buffer_char(out, ' ');
        cli_buffer_append(out, key.data, key.size);
    }
}

// "score 0.6520  words 100 %  #4 key", faint and cut to the line.
static void show_score(cli_screen_t *screen, const cli_json_t *hit, bool names_space) {
    cli_buffer_t line = {0};
    cli_buffer_printf(&line, "score %.4f  ", cli_json_number(cli_json_get(hit, "score")));
    cli_print_shares(cli_json_get(hit, "signals"), &line);
    cli_buffer_text(&line, "  ");
    print_name(hit, &line);
    if (names_space) {
        cli_buffer_text(&line, "  in ");
        cli_buffer_append(&line, text_of(hit, "space").data, text_of(hit, "space").size);
    }
    cli_buffer_text(&screen->out, "    ");
    cli_show_cut(screen, CLI_DIM, (memdb_bytes_t){line.data, line.size}, screen->width - 5);
    cli_buffer_char(&screen->out, '\n');
    cli_buffer_free(&line);
}

// "  plan: search within the members    about 120, 118 rows, 0.21 ms", parts below their whole.
void cli_print_plan(cli_screen_t *screen, const cli_json_t *answer) {
    const cli_json_t *plan = member(answer, "plan");
    if (!plan)
        return;
    const cli_json_t *steps = cli_json_get(plan, "steps"), *weights = cli_json_get(plan, "weights");
    for (size_t i = 0; i < cli_json_count(steps); i++) {
        const cli_json_t *step = cli_json_at(steps, i), *estimated = member(step, "estimated");
        int indent = 2 + 2 * (int)integer_of(step, "depth");
        cli_buffer_t line = {0};
        cli_buffer_printf(&line, "%*s", indent, "");
        cli_buffer_append(&line, text_of(step, "what").data, text_of(step, "what").size);
        cli_buffer_printf(&line, "%*s", line.size < 46 ? (int)(46 - line.size) : 2, "");
        if (estimated)
            cli_buffer_printf(&line, "about %lld, ", (long long)integer_of(step, "estimated"));
        cli_buffer_printf(&line, "%lld rows, %.3f ms", (long long)integer_of(step, "rows"),
                          cli_json_number(cli_json_get(step, "us")) / 1000);
        cli_show_cut(screen, CLI_DIM, (memdb_bytes_t){line.data, line.size}, screen->width);
        cli_buffer_char(&screen->out, '\n');
        cli_buffer_free(&line);
    }
    cli_buffer_t line = {0};
    cli_buffer_text(&line, "weights:");
    for (void *at = cli_json_first(weights); at; at = cli_json_next(weights, at))
        cli_buffer_printf(&line, " %s %g", cli_json_name_at(at),
                          cli_json_number(cli_json_value_at(at)));
    cli_show_wrapped(screen, (memdb_bytes_t){line.data, line.size}, 2, NULL);
    cli_buffer_free(&line);
}

// The piece of a hit's text around the words of the question, these in bold; an ellipsis where the
// text goes on.
static void show_snippet(cli_screen_t *screen, const cli_json_t *hit) {
    const cli_json_t *snippet = cli_json_get(hit, "snippet");
    const cli_json_t *pieces = cli_json_get(snippet, "pieces");
    size_t count = cli_json_count(pieces), marked = 0;
    memdb_mark_t *items = cli_allocate((count / 2 + 1) * sizeof *items);
    cli_buffer_t text = {0};
    if (integer_of(snippet, "from") > 0)
        cli_buffer_text(&text, "… ");
    for (size_t i = 0; i < count; i++) {
        memdb_bytes_t piece = cli_json_bytes(cli_json_at(pieces, i));
        if (i % 2)
            items[marked++] = (memdb_mark_t){text.size, piece.size};
        cli_buffer_append(&text, piece.data, piece.size);
    }
    if ((size_t)integer_of(snippet, "to") < text_of(hit, "text").size)
        cli_buffer_text(&text, " …");
    cli_show_wrapped(screen, (memdb_bytes_t){text.data, text.size}, 4,
                     &(cli_marks_t){items, marked});
    cli_buffer_free(&text);
    free(items);
}

void cli_print_recall(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    const cli_json_t *hits = cli_json_get(answer, "hits"), *fewer = member(answer, "fewer");
    for (size_t i = 0; i < cli_json_count(hits); i++) {
        const cli_json_t *hit = cli_json_at(hits, i);
        cli_buffer_printf(&screen->out, "%2zu. ", i + 1);
        show_origin(screen, hit, screen->width - 5);
        cli_buffer_char(&screen->out, '\n');
        show_snippet(screen, hit);
        show_score(screen, hit, member(request, "spaces") != NULL);
    }
    if (fewer) {
        bool any = cli_json_count(hits) > 0;
        cli_buffer_t line = {0};
        cli_buffer_text(&line, any ? "fewer than asked for: " : "nothing found: ");
        cli_buffer_append(&line, cli_json_bytes(fewer).data, cli_json_bytes(fewer).size);
        cli_show_wrapped(screen, (memdb_bytes_t){line.data, line.size}, any ? 4 : 0, NULL);
        cli_buffer_free(&line);
    }
    cli_print_plan(screen, answer);
}

static void show_value(cli_screen_t *screen, const cli_json_t *value, size_t indent) {
    bool is_text = cli_json_kind(value) == CLI_JSON_STRING;
    cli_buffer_t text = {0};
    if (!is_text)
        cli_json_write(value, &text);
    memdb_bytes_t shown = is_text ? cli_json_bytes(value) : (memdb_bytes_t){text.data, text.size};
    cli_show_hanging(screen, shown, indent, NULL);
    cli_buffer_free(&text);
}

void cli_print_memory(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    (void)request;
    const cli_json_t *memory = cli_json_get(answer, "memory");
    for (void *at = cli_json_first(memory); at; at = cli_json_next(memory, at)) {
        const cli_json_t *value = cli_json_value_at(at);
        const char *name = cli_json_name_at(at);
        bool empty = cli_json_kind(value) == CLI_JSON_OBJECT && !cli_json_count(value);
        if (cli_json_kind(value) == CLI_JSON_NULL || empty || !strcmp(name, "text"))
            continue;
        char label[32];
        snprintf(label, sizeof label, "%-11s", name);
        cli_show_text(screen, CLI_DIM, label);
        show_value(screen, value, strlen(label));
    }
    cli_show_wrapped(screen, text_of(memory, "text"), 0, NULL);
}

void cli_print_memories(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    static const char *const titles[] = {">id", "key", "time", "who", "text"};
    const cli_json_t *memories = cli_json_get(answer, "memories");
    cli_table_t *table = cli_table_create(titles, 5);
    for (size_t i = 0; i < cli_json_count(memories); i++) {
        const cli_json_t *memory = cli_json_at(memories, i);
        char id[32], time[MEMDB_TIME_TEXT_BYTES];
        snprintf(id, sizeof id, "#%lld", (long long)integer_of(memory, "id"));
        short_time(memory, time);
        cli_table_text(table, id);
        cli_table_cell(table, text_of(memory, "key"));
        cli_table_text(table, time);
        cli_table_cell(table, text_of(memory, "actor"));
        cli_table_cell(table, text_of(memory, "text"));
    }
    if (cli_json_count(memories))
        cli_table_show(table, screen);
    else
        cli_show_text(screen, CLI_DIM, "no memories"), cli_buffer_char(&screen->out, '\n');
    cli_table_destroy(table);
    if (member(answer, "next")) {
        cli_show_text(screen, CLI_DIM, "there are more: --after ");
        cli_show(screen, CLI_DIM, text_of(answer, "next"));
        cli_buffer_char(&screen->out, '\n');
    }
    (void)request;
}

static bool is_named(const cli_json_t *request, const cli_json_t *memory) {
    const cli_json_t *id = cli_json_get(request, "id"), *key = cli_json_get(request, "key");
    return (id && cli_json_equal(id, cli_json_get(memory, "id"))) ||
           (key && cli_json_equal(key, cli_json_get(memory, "key")));
}

void cli_print_trace(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    const cli_json_t *memories = cli_json_get(answer, "memories");
    for (size_t i = 0; i < cli_json_count(memories); i++) {
        const cli_json_t *memory = cli_json_at(memories, i);
        bool named = is_named(request, memory);
        size_t most = screen->width * 2 / 3, room = most > LEAST_ORIGIN ? most : LEAST_ORIGIN;
        cli_buffer_t name = {0};
        print_name(memory, &name);
        cli_show_text(screen, CLI_BOLD, named ? "> " : "  ");
        show_origin(screen, memory, room);
        cli_buffer_text(&screen->out, "  ");
        cli_show_cut(screen, CLI_DIM, (memdb_bytes_t){name.data, name.size},
                     screen->width - room - 5);
        cli_buffer_char(&screen->out, '\n');
        cli_buffer_free(&name);
        memdb_bytes_t text = text_of(memory, "text");
        memdb_mark_t whole = {0, text.size};
        cli_show_wrapped(screen, text, 4, &(cli_marks_t){&whole, named});
    }
}

// "to it: knows"; of a node that is farther away than the start's links reach, also from where.
static void show_way(const cli_json_t *node, const cli_json_t *link, cli_buffer_t *out) {
    bool to = integer_of(link, "to") == integer_of(node, "id");
    memdb_bytes_t type = text_of(link, "type");
    cli_buffer_text(out, to ? "to it" : "from it");
    if (integer_of(node, "hops") > 1)
        cli_buffer_printf(out, to ? " from #%lld" : " to #%lld",
                          (long long)integer_of(link, to ? "from" : "to"));
    cli_buffer_text(out, type.size ? ": " : "");
    cli_buffer_append(out, type.data, type.size);
}

void cli_print_neighbours(cli_screen_t *screen, const cli_json_t *request,
                          const cli_json_t *answer) {
    static const char *const titles[] = {">id", "key", ">hops", "link", ">weight"};
    const cli_json_t *nodes = cli_json_get(answer, "nodes");
    cli_table_t *table = cli_table_create(titles, 5);
    (void)request;
    for (size_t i = 0; i < cli_json_count(nodes); i++) {
        const cli_json_t *node = cli_json_at(nodes, i), *via = cli_json_get(node, "via");
        size_t rows = cli_json_count(via);
        for (size_t j = 0; j < (rows ? rows : 1); j++) {
            const cli_json_t *link = cli_json_at(via, j);
            cli_buffer_t way = {0};
            char text[32];
            snprintf(text, sizeof text, "#%lld", (long long)integer_of(node, "id"));
            cli_table_text(table, text);
            cli_table_cell(table, text_of(node, "key"));
            snprintf(text, sizeof text, "%lld", (long long)integer_of(node, "hops"));
            cli_table_text(table, text);
            if (rows)
                show_way(node, link, &way);
            cli_table_cell(table, (memdb_bytes_t){way.data, way.size});
            cli_buffer_free(&way);
            snprintf(text, sizeof text, "%g", cli_json_number(cli_json_get(link, "weight")));
            cli_table_text(table, rows ? text : "");
        }
    }
    if (cli_json_count(nodes))
        cli_table_show(table, screen);
    else
        cli_show_text(screen, CLI_DIM, "no links"), cli_buffer_char(&screen->out, '\n');
    cli_table_destroy(table);
}

void cli_print_spaces(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    static const char *const titles[] = {"space",      ">memories", ">bytes",
                                         ">dimension", "metric",    "tokenizer"};
    const cli_json_t *spaces = cli_json_get(answer, "spaces");
    cli_table_t *table = cli_table_create(titles, 6);
    (void)request;
    for (size_t i = 0; i < cli_json_count(spaces); i++) {
        const cli_json_t *space = cli_json_at(spaces, i);
        cli_table_cell(table, text_of(space, "name"));
        cli_table_number(table, integer_of(space, "memories"));
        cli_table_number(table, integer_of(space, "bytes"));
        cli_table_number(table, integer_of(space, "dimension"));
        cli_table_cell(table, text_of(space, "metric"));
        cli_table_cell(table, text_of(space, "tokenizer"));
    }
    if (cli_json_count(spaces))
        cli_table_show(table, screen);
    else
        cli_show_text(screen, CLI_DIM, "no spaces yet"), cli_buffer_char(&screen->out, '\n');
    cli_table_destroy(table);
}

void cli_print_tables(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    static const char *const titles[] = {"table", ">rows", ">dimension", "dtype", ">bytes a row"};
    const cli_json_t *tables = cli_json_get(answer, "tables");
    cli_table_t *table = cli_table_create(titles, 5);
    (void)request;
    for (size_t i = 0; i < cli_json_count(tables); i++) {
        const cli_json_t *row = cli_json_at(tables, i);
        cli_table_cell(table, text_of(row, "name"));
        cli_table_number(table, integer_of(row, "rows"));
        cli_table_number(table, integer_of(row, "dimension"));
        cli_table_cell(table, text_of(row, "dtype"));
        cli_table_number(table, integer_of(row, "row_bytes"));
    }
    if (cli_json_count(tables))
        cli_table_show(table, screen);
    else
        cli_show_text(screen, CLI_DIM, "no tables"), cli_buffer_char(&screen->out, '\n');
    cli_table_destroy(table);
}

void cli_print_indexes(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    static const char *const titles[] = {"index on", ">memories", "state"};
    const cli_json_t *indexes = cli_json_get(answer, "indexes");
    cli_table_t *table = cli_table_create(titles, 3);
    (void)request;
    for (size_t i = 0; i < cli_json_count(indexes); i++) {
        const cli_json_t *index = cli_json_at(indexes, i);
        cli_table_cell(table, text_of(index, "on"));
        cli_table_number(table, integer_of(index, "memories"));
        bool ready = cli_json_truth(cli_json_get(index, "ready"));
        cli_table_cell(table,
                       ready ? (memdb_bytes_t){"ready", 5} : (memdb_bytes_t){"in the making", 13});
    }
    if (cli_json_count(indexes))
        cli_table_show(table, screen);
    else
        cli_show_text(screen, CLI_DIM, "no indexes"), cli_buffer_char(&screen->out, '\n');
    cli_table_destroy(table);
}

void cli_print_figures(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    static const char *const titles[] = {"figure", ">value"};
    cli_table_t *table = cli_table_create(titles, 2);
    (void)request;
    for (void *at = cli_json_first(answer); at; at = cli_json_next(answer, at)) {
        const cli_json_t *value = cli_json_value_at(at);
        cli_json_kind_t kind = cli_json_kind(value);
        if (!strcmp(cli_json_name_at(at), "ok"))
            continue;
        cli_table_text(table, cli_json_name_at(at));
        if (kind == CLI_JSON_BOOL) {
            cli_table_text(table, cli_json_truth(value) ? "yes" : "no");
            continue;
        }
        if (kind == CLI_JSON_INTEGER)
            cli_table_number(table, cli_json_integer(value));
        else
            cli_table_cell(table, kind == CLI_JSON_STRING ? cli_json_bytes(value)
                                                          : (memdb_bytes_t){"-", 1});
    }
    cli_table_show(table, screen);
    cli_table_destroy(table);
}

// What compact and purge did, in sentences.
void cli_print_space(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    (void)request;
    double before = (double)integer_of(answer, "bytes_before") / 1048576;
    double after = (double)integer_of(answer, "bytes_after") / 1048576;
    cli_buffer_printf(&screen->out, "%.2f MiB before, %.2f MiB after\n", before, after);
    if (integer_of(answer, "extents_waiting"))
        cli_buffer_printf(&screen->out,
                          "%.2f MiB more when older snapshots of other programs have ended\n",
                          (double)integer_of(answer, "waiting_bytes") / 1048576);
    if (cli_json_get(answer, "memories_erased"))
        cli_buffer_printf(&screen->out,
                          "%lld forgotten with erase: no file of the database holds a byte of it\n",
                          (long long)integer_of(answer, "memories_erased"));
    if (integer_of(answer, "archived_files_removed"))
        cli_buffer_printf(&screen->out, "%lld files of the log's archive removed\n",
                          (long long)integer_of(answer, "archived_files_removed"));
}

static void print_garbage(cli_screen_t *screen, const cli_json_t *answer) {
    const cli_json_t *garbage = cli_json_get(answer, "garbage");
    int64_t bytes = 0;
    for (size_t i = 0; i < cli_json_count(garbage); i++)
        bytes += integer_of(cli_json_at(garbage, i), "bytes");
    if (cli_json_count(garbage))
        cli_buffer_printf(&screen->out, "%zu files that nothing names, %lld bytes: no damage\n",
                          cli_json_count(garbage), (long long)bytes);
}

void cli_print_verify(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    static const char *const titles[] = {"file", ">offset", "damage"};
    const cli_json_t *errors = cli_json_get(answer, "errors");
    (void)request;
    if (!cli_json_count(errors)) {
        cli_show_text(screen, CLI_GREEN, "no damage found");
        cli_buffer_char(&screen->out, '\n');
        print_garbage(screen, answer);
        return;
    }
    cli_table_t *table = cli_table_create(titles, 3);
    for (size_t i = 0; i < cli_json_count(errors); i++) {
        const cli_json_t *damage = cli_json_at(errors, i);
        cli_table_cell(table, text_of(damage, "file"));
        cli_table_number(table, integer_of(damage, "offset"));
        cli_table_cell(table, text_of(damage, "what"));
    }
    cli_table_show(table, screen);
    cli_table_destroy(table);
}

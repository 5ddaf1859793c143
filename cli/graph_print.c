// A neighbourhood drawn: as a tree in text, for Graphviz, and as a picture.
//
// The tree hangs each memory below the one that led to it first; a link between two memories that
// hang elsewhere is shown below its origin with an equals sign, and not followed again.
#include "cli/cli_command.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t integer_of(const cli_json_t *object, const char *name) {
    return cli_json_integer(cli_json_get(object, name));
}

static memdb_bytes_t text_of(const cli_json_t *object, const char *name) {
    const cli_json_t *value = cli_json_get(object, name);
    bool there = value && cli_json_kind(value) == CLI_JSON_STRING;
    return there ? cli_json_bytes(value) : (memdb_bytes_t){"", 0};
}

// The tree: each node with the one that it hangs below, by place among the nodes; the start's is
// its own.
typedef struct branch {
    const cli_json_t *node;
    size_t parent;
    double angle, width;
} branch_t;

typedef struct edge {
    const cli_json_t *link;
    size_t from, to, child; // places; `child` hangs by this link, 0: none does
} edge_t;

typedef struct graph {
    branch_t *branches;
    edge_t *edges;
    size_t count, edge_count;
} graph_t;

static size_t place_of(const graph_t *graph, int64_t id) {
    size_t place = 0;
    while (place + 1 < graph->count && integer_of(graph->branches[place].node, "id") != id)
        place++;
    return place;
}

// A node hangs by the first link that has at its other end a node that is one hop nearer: the walk
// met it through that.
static graph_t graph_of(const cli_json_t *answer) {
    const cli_json_t *nodes = cli_json_get(answer, "nodes"), *links = cli_json_get(answer, "links");
    graph_t graph = {.count = cli_json_count(nodes), .edge_count = cli_json_count(links)};
    graph.branches = cli_allocate(graph.count * sizeof *graph.branches);
    graph.edges = cli_allocate(graph.edge_count * sizeof *graph.edges);
    bool *hangs = cli_allocate(graph.count * sizeof *hangs);
    for (size_t i = 0; i < graph.count; i++)
        graph.branches[i].node = cli_json_at(nodes, i);
    for (size_t i = 0; i < graph.edge_count; i++) {
        edge_t *edge = &graph.edges[i];
        edge->link = cli_json_at(links, i);
        edge->from = place_of(&graph, integer_of(edge->link, "from"));
        edge->to = place_of(&graph, integer_of(edge->link, "to"));
        size_t near = edge->from < edge->to ? edge->from : edge->to;
        size_t far = edge->from + edge->to - near;
        int64_t step = integer_of(graph.branches[far].node, "hops") -
                       integer_of(graph.branches[near].node, "hops");
        if (step != 1 || hangs[far])
            continue;
        hangs[far] = true;
        edge->child = far;
        graph.branches[far].parent = near;
    }
    free(hangs);
    return graph;
}

// ------------------------------------------------------------------------------ as text

// "#12 key  text", cut to the line.
static void print_label(const cli_json_t *node, cli_buffer_t *out) {
    memdb_bytes_t key = text_of(node, "key"), text = text_of(node, "text");
    cli_buffer_printf(out, "#%lld", (long long)integer_of(node, "id"));
    if (key.size) {
        cli_buffer_char(out, ' ');
        cli_buffer_append(out, key.data, key.size);
    }
    if (text.size) {
        cli_buffer_text(out, "  ");
        cli_buffer_append(out, text.data, text.size);
    }
}

static void print_arrow(const cli_json_t *link, bool outward, cli_buffer_t *out) {
    memdb_bytes_t type = text_of(link, "type");
    double weight = cli_json_number(cli_json_get(link, "weight"));
    cli_buffer_text(out, outward ? "─" : "◄─");
    cli_buffer_append(out, type.data, type.size);
    if (weight != 1)
        cli_buffer_printf(out, "%s%g", type.size ? " " : "", weight);
    cli_buffer_text(out, outward ? "─► " : "─ ");
}

static void show_line(cli_screen_t *screen, const cli_buffer_t *indent, const cli_buffer_t *line) {
    size_t used = cli_text_columns((memdb_bytes_t){indent->data, indent->size});
    size_t room = screen->width > used + 10 ? screen->width - used : 10;
    cli_show(screen, CLI_DIM, (memdb_bytes_t){indent->data, indent->size});
    cli_show_cut(screen, CLI_PLAIN, (memdb_bytes_t){line->data, line->size}, room);
    cli_buffer_char(&screen->out, '\n');
}

// Below `place` are shown the links by which others hang there, and those that begin there and by
// which nothing hangs.
static bool is_below(const graph_t *graph, const edge_t *edge, size_t place) {
    return edge->child ? graph->branches[edge->child].parent == place : edge->from == place;
}

static void show_below(cli_screen_t *screen, const graph_t *graph, size_t place,
                       cli_buffer_t *indent) {
    size_t left = 0, before = indent->size;
    for (size_t i = 0; i < graph->edge_count; i++)
        left += is_below(graph, &graph->edges[i], place);
    for (size_t i = 0; left; i++) {
        const edge_t *edge = &graph->edges[i];
        cli_buffer_t line = {0};
        if (!is_below(graph, edge, place))
            continue;
        left--;
        cli_buffer_text(indent, left ? "├" : "└");
        print_arrow(edge->link, edge->from == place, &line);
        if (edge->child)
            print_label(graph->branches[edge->child].node, &line);
        else
            cli_buffer_printf(&line, "= #%lld", (long long)integer_of(edge->link, "to"));
        show_line(screen, indent, &line);
        indent->size = before;
        if (edge->child) {
            cli_buffer_text(indent, left ? "│  " : "   ");
            show_below(screen, graph, edge->child, indent);
            indent->size = before;
        }
        cli_buffer_free(&line);
    }
}

static void show_tree(cli_screen_t *screen, const graph_t *graph, bool cut) {
    cli_buffer_t indent = {0}, line = {0};
    cli_buffer_append(&indent, "", 0);
    print_label(graph->branches[0].node, &line);
    show_line(screen, &indent, &line);
    show_below(screen, graph, 0, &indent);
    if (!graph->edge_count)
        cli_show_text(screen, CLI_DIM, "no links"), cli_buffer_char(&screen->out, '\n');
    if (cut) {
        cli_show_text(screen, CLI_DIM, "there are more: --limit takes more of them");
        cli_buffer_char(&screen->out, '\n');
    }
    cli_buffer_free(&indent);
    cli_buffer_free(&line);
}

// ------------------------------------------------------------------------------ for Graphviz

#define LABEL_COLUMNS 40

// The key, else the text, else the id, in few columns.
static void print_short(const cli_json_t *node, cli_buffer_t *out) {
    memdb_bytes_t key = text_of(node, "key"), text = text_of(node, "text");
    memdb_bytes_t label = key.size ? key : text;
    cli_buffer_t clean = {0};
    cli_clean(label, &clean);
    label = (memdb_bytes_t){clean.data, clean.size};
    size_t size = cli_text_fitting(label, LABEL_COLUMNS);
    cli_buffer_append(out, label.data, size);
    if (size < label.size)
        cli_buffer_text(out, "…");
    if (!label.size)
        cli_buffer_printf(out, "#%lld", (long long)integer_of(node, "id"));
    cli_buffer_free(&clean);
}

static void print_quoted(const char *text, cli_buffer_t *out) {
    cli_buffer_char(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            cli_buffer_char(out, '\\');
        cli_buffer_char(out, *text);
    }
    cli_buffer_char(out, '"');
}

static void print_dot(const graph_t *graph, cli_buffer_t *out) {
    cli_buffer_text(out, "digraph memdb {\n  node [shape=box, style=rounded];\n");
    for (size_t i = 0; i < graph->count; i++) {
        cli_buffer_t label = {0};
        print_short(graph->branches[i].node, &label);
        cli_buffer_printf(out,
                          "  %lld [label=", (long long)integer_of(graph->branches[i].node, "id"));
        print_quoted(label.data, out);
        cli_buffer_text(out, i ? "];\n" : ", penwidth=2];\n");
        cli_buffer_free(&label);
    }
    for (size_t i = 0; i < graph->edge_count; i++) {
        const cli_json_t *link = graph->edges[i].link;
        cli_buffer_t type = {0};
        cli_buffer_append(&type, "", 0);
        cli_clean(text_of(link, "type"), &type);
        cli_buffer_printf(out, "  %lld -> %lld [label=", (long long)integer_of(link, "from"),
                          (long long)integer_of(link, "to"));
        print_quoted(type.data, out);
        cli_buffer_text(out, "];\n");
        cli_buffer_free(&type);
    }
    cli_buffer_text(out, "}\n");
}

// ------------------------------------------------------------------------------ as a picture

#define RING 190.0 // between two hops
#define MARGIN 150.0
#define PI 3.14159265358979323846

// Each memory gets the share of its parent's angle that its leaves have (a radial tree: Eades,
// Drawing free trees, 1992). A parent stands before its children.
static void spread(graph_t *graph) {
    branch_t *branches = graph->branches;
    double *begins = cli_allocate(graph->count * sizeof *begins);
    double *leaves = cli_allocate(graph->count * sizeof *leaves);
    for (size_t i = graph->count; i-- > 0;) {
        leaves[i] = leaves[i] > 0 ? leaves[i] : 1;
        if (i)
            leaves[branches[i].parent] += leaves[i];
    }
    branches[0].width = 2 * PI;
    for (size_t i = 1; i < graph->count; i++) {
        const branch_t *parent = &branches[branches[i].parent];
        branches[i].width = parent->width * leaves[i] / leaves[branches[i].parent];
        branches[i].angle =
            parent->angle - parent->width / 2 + begins[branches[i].parent] + branches[i].width / 2;
        begins[branches[i].parent] += branches[i].width;
    }
    free(begins);
    free(leaves);
}

static void print_escaped(memdb_bytes_t text, cli_buffer_t *out) {
    cli_buffer_t clean = {0};
    cli_clean(text, &clean);
    for (size_t i = 0; i < clean.size; i++) {
        char c = clean.data[i];
        if (c == '&' || c == '<' || c == '>' || c == '"')
            cli_buffer_printf(out, "&#%d;", c);
        else
            cli_buffer_char(out, c);
    }
    cli_buffer_free(&clean);
}

static void position(const branch_t *branch, double middle, double *x_out, double *y_out) {
    double radius = RING * (double)integer_of(branch->node, "hops");
    *x_out = middle + radius * cos(branch->angle);
    *y_out = middle + radius * sin(branch->angle);
}

static void print_svg(graph_t *graph, cli_buffer_t *out) {
    int64_t hops = integer_of(graph->branches[graph->count - 1].node, "hops");
    double middle = RING * (double)hops + MARGIN;
    spread(graph);
    cli_buffer_printf(out,
                      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
                      "font-family=\"sans-serif\" font-size=\"12\" text-anchor=\"middle\">\n"
                      "<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"14\" refY=\"4\" "
                      "markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">"
                      "<path d=\"M0 0L8 4L0 8z\" fill=\"#777\"/></marker></defs>\n",
                      2 * middle, 2 * middle);
    for (size_t i = 0; i < graph->edge_count; i++) {
        const edge_t *edge = &graph->edges[i];
        double x1, y1, x2, y2;
        position(&graph->branches[edge->from], middle, &x1, &y1);
        position(&graph->branches[edge->to], middle, &x2, &y2);
        cli_buffer_printf(out,
                          "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#777\" "
                          "marker-end=\"url(#a)\"/>\n<text x=\"%.1f\" y=\"%.1f\" fill=\"#777\">",
                          x1, y1, x2, y2, (x1 + x2) / 2, (y1 + y2) / 2 - 3);
        print_escaped(text_of(edge->link, "type"), out);
        cli_buffer_text(out, "</text>\n");
    }
    for (size_t i = 0; i < graph->count; i++) {
        double x, y;
        cli_buffer_t label = {0};
        position(&graph->branches[i], middle, &x, &y);
        print_short(graph->branches[i].node, &label);
        cli_buffer_printf(out,
                          "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" fill=\"#%s\"/>\n"
                          "<text x=\"%.1f\" y=\"%.1f\">",
                          x, y, i ? 6 : 8, i ? "4a7" : "c62", x, y - 12);
        print_escaped((memdb_bytes_t){label.data, label.size}, out);
        cli_buffer_text(out, "</text>\n");
        cli_buffer_free(&label);
    }
    cli_buffer_text(out, "</svg>\n");
}

void cli_print_graph(cli_screen_t *screen, const cli_json_t *request, const cli_json_t *answer) {
    graph_t graph = graph_of(answer);
    memdb_bytes_t format = cli_get_bytes(request, "format");
    if (format.size == 3 && format.data[0] == 'd')
        print_dot(&graph, &screen->out);
    else if (format.size == 3)
        print_svg(&graph, &screen->out);
    else
        show_tree(screen, &graph, cli_json_truth(cli_json_get(answer, "cut")));
    free(graph.branches);
    free(graph.edges);
}

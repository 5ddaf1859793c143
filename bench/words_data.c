// The sets of bench/words.c: read from files where they are there, or generated.
#include "bench/words_data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *folder, const char *name, size_t *size_out) {
    char path[4352];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = folder[0] ? fopen(path, "rb") : NULL;
    if (!file) {
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    *size_out = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size_out + 1);
    *size_out = fread(bytes, 1, *size_out, file);
    fclose(file);
    return bytes;
}

static void add_line(words_lines_t *lines, const char *text, size_t size) {
    if ((lines->count & (lines->count - 1)) == 0) {
        size_t capacity = lines->count ? 2 * lines->count : 1;
        lines->lines = realloc(lines->lines, capacity * sizeof *lines->lines);
    }
    lines->lines[lines->count++] = (words_line_t){text, size};
}

// Undo the escapes of a JSON text in place, up to its quote. Other characters than letters become
// blanks, since a comparison of words needs no more.
static size_t unescape(char *text, const char *end) {
    char *to = text;
    for (const char *at = text; at < end && *at != '"'; at++) {
        if (*at != '\\') {
            *to++ = *at;
            continue;
        }
        at++;
        *to++ = *at == '"' || *at == '\\' || *at == '/' ? *at : ' ';
        at += *at == 'u' ? 4 : 0;
    }
    return (size_t)(to - text);
}

// Add the lines of a text file, or the "text" fields of JSON lines, whose bytes the caller frees.
static char *load(const char *folder, const char *name, bool json, size_t most,
                  words_lines_t *lines) {
    size_t size;
    char *bytes = read_file(folder, name, &size);
    for (char *at = bytes, *end = bytes + size; bytes && at < end && lines->count < most;) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        char *text = json ? memmem(at, (size_t)(stop - at), "\"text\": \"", 9) : at;
        if (json && text) {
            add_line(lines, text + 9, unescape(text + 9, stop));
        } else if (text) {
            add_line(lines, text, (size_t)(stop - text));
        }
        at = stop + 1;
    }
    return bytes;
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void shuffle(words_lines_t *lines) {
    uint64_t seed = 88172645463325252u;
    for (size_t i = lines->count; i > 1; i--) {
        size_t other = next_random(&seed) % i;
        words_line_t moved = lines->lines[other];
        lines->lines[other] = lines->lines[i - 1];
        lines->lines[i - 1] = moved;
    }
}

// Words of a vocabulary of 50,000 whose frequencies fall about as those of a language do.
static void generate(size_t count, size_t least, size_t most, uint64_t seed, words_lines_t *lines) {
    static const char *const syllables[] = {"ba", "ke", "lo", "mi",  "nu", "ra", "se",  "ti",
                                            "vo", "wu", "za", "che", "do", "fi", "gra", "plo"};
    size_t room = count * most * 16 + 1, used = 0;
    lines->bytes = malloc(room);
    for (size_t i = 0; i < count; i++) {
        size_t words = least + next_random(&seed) % (most - least + 1), start = used;
        for (size_t w = 0; w < words; w++) {
            double uniform = (double)(next_random(&seed) >> 11) / 9007199254740992.0;
            uint64_t word = (uint64_t)exp(uniform * 10.8) + 15;
            for (; word; word >>= 4) {
                used +=
                    (size_t)snprintf(lines->bytes + used, room - used, "%s", syllables[word & 15]);
            }
            lines->bytes[used++] = ' ';
        }
        add_line(lines, lines->bytes + start, used - start);
    }
}

// Documents of two or three sentences, drawn at random.
static void join(const words_lines_t *sentences, size_t count, words_lines_t *lines) {
    uint64_t seed = 362436069u;
    size_t room = 1 << 20, used = 0;
    size_t *starts = malloc((count + 1) * sizeof *starts);
    lines->bytes = malloc(room);
    for (size_t i = 0; i < count; i++) {
        starts[i] = used;
        for (size_t left = 2 + next_random(&seed) % 2; left > 0; left--) {
            const words_line_t *line = &sentences->lines[next_random(&seed) % sentences->count];
            if (room - used < line->size + 2) {
                room = 2 * room + line->size;
                lines->bytes = realloc(lines->bytes, room);
            }
            memcpy(lines->bytes + used, line->text, line->size);
            memcpy(lines->bytes + used + line->size, ". ", 2);
            used += line->size + 2;
        }
    }
    starts[count] = used;
    for (size_t i = 0; i < count; i++) {
        add_line(lines, lines->bytes + starts[i], starts[i + 1] - starts[i]);
    }
    free(starts);
}

static void load_passages(const char *folder, size_t most, words_lines_t *lines) {
    static const char *const names[] = {"scifact", "msmarco_5k", "dbpedia_5k", "musique100"};
    size_t used = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[64];
        words_lines_t more = {0};
        snprintf(name, sizeof name, "%s/corpus.jsonl", names[i]);
        char *bytes = load(folder, name, true, most - lines->count, &more);
        size_t size = more.count ? (size_t)(more.lines[more.count - 1].text - bytes) +
                                       more.lines[more.count - 1].size
                                 : 0;
        char *all = malloc(used + size + 1);
        memcpy(all, lines->bytes ? lines->bytes : "", used);
        for (size_t n = 0; n < lines->count; n++) {
            lines->lines[n].text = all + (lines->lines[n].text - lines->bytes);
        }
        free(lines->bytes);
        lines->bytes = all;
        memcpy(all + used, bytes ? bytes : "", size);
        for (size_t n = 0; n < more.count; n++) {
            add_line(lines, all + used + (more.lines[n].text - bytes), more.lines[n].size);
        }
        used += size;
        free(more.lines);
        free(bytes);
    }
}

bool words_set_load(char name, const char *folder, size_t most_documents, size_t most_questions,
                    words_set_t *set_out) {
    words_set_t set = {"short sentences", "LoCoMo questions", {0}, {0}};
    if (name == 'G') {
        set.documents_are = "generated documents";
        set.questions_are = "generated questions";
        generate(most_documents < 100000 ? most_documents : 100000, 4, 16, 88172645463325252u,
                 &set.documents);
        generate(most_questions < 1000 ? most_questions : 1000, 2, 6, 362436069u, &set.questions);
    } else if (name == 'B') {
        set.documents_are = "passages";
        set.questions_are = "SciFact claims";
        load_passages(folder, most_documents, &set.documents);
        set.questions.bytes =
            load(folder, "scifact/queries.jsonl", true, most_questions, &set.questions);
    } else {
        set.documents.bytes = load(folder, "bench_minilm384/base.txt", false,
                                   name == 'A' ? most_documents : SIZE_MAX, &set.documents);
        set.questions.bytes =
            load(folder, "locomo/queries.jsonl", true, most_questions, &set.questions);
        if (name == 'C' && set.documents.count) {
            words_lines_t sentences = set.documents;
            set.documents_are = "documents of two or three sentences";
            set.documents = (words_lines_t){0};
            join(&sentences, most_documents < 1000000 ? most_documents : 1000000, &set.documents);
            free(sentences.lines);
            free(sentences.bytes);
        }
    }
    if (!set.documents.count || !set.questions.count) {
        words_set_free(&set);
        return false;
    }
    shuffle(&set.questions);
    *set_out = set;
    return true;
}

void words_set_free(words_set_t *set) {
    words_lines_t *both[] = {&set->documents, &set->questions};
    for (size_t i = 0; i < 2; i++) {
        free(both[i]->lines);
        free(both[i]->bytes);
    }
}

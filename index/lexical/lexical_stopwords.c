// English words that carry grammar, not content. A question without them ranks better and is
// answered faster, because they occur in half of all documents. Sorted by bytes, as folding leaves
// them; a possessive "'s" is already dropped.
#include "base/bytes.h"
#include "index/lexical/lexical_token.h"

static const char *const stop_words[] = {
    "a",        "about",      "above",      "after",    "again",     "all",      "also",
    "am",       "an",         "and",        "any",      "anyone",    "anything", "are",
    "aren't",   "as",         "at",         "be",       "because",   "been",     "before",
    "being",    "below",      "between",    "both",     "but",       "by",       "can",
    "can't",    "cannot",     "could",      "couldn't", "did",       "didn't",   "do",
    "does",     "doesn't",    "doing",      "don't",    "down",      "during",   "each",
    "either",   "etc",        "ever",       "every",    "everyone",  "few",      "for",
    "from",     "further",    "had",        "hadn't",   "has",       "hasn't",   "have",
    "haven't",  "having",     "he",         "he'd",     "he'll",     "her",      "here",
    "hers",     "herself",    "him",        "himself",  "his",       "how",      "i",
    "i'd",      "i'll",       "i'm",        "i've",     "if",        "in",       "into",
    "is",       "isn't",      "it",         "it'd",     "it'll",     "its",      "itself",
    "just",     "many",       "me",         "might",    "more",      "most",     "much",
    "must",     "my",         "myself",     "no",       "nor",       "not",      "of",
    "off",      "on",         "once",       "only",     "or",        "other",    "our",
    "ours",     "ourselves",  "out",        "over",     "own",       "same",     "shall",
    "she",      "she'd",      "she'll",     "should",   "shouldn't", "so",       "some",
    "someone",  "something",  "such",       "than",     "that",      "the",      "their",
    "theirs",   "them",       "themselves", "then",     "there",     "these",    "they",
    "they'd",   "they'll",    "they're",    "they've",  "this",      "those",    "through",
    "to",       "too",        "under",      "until",    "up",        "upon",     "us",
    "very",     "via",        "was",        "wasn't",   "we",        "we'd",     "we'll",
    "we're",    "we've",      "were",       "weren't",  "what",      "when",     "where",
    "whether",  "which",      "while",      "who",      "whom",      "whose",    "why",
    "will",     "with",       "within",     "without",  "won't",     "would",    "wouldn't",
    "you",      "you'd",      "you'll",     "you're",   "you've",    "your",     "yours",
    "yourself", "yourselves",
};

bool memdb__is_stop_word(const uint8_t *word, size_t size) {
    size_t low = 0, high = sizeof stop_words / sizeof stop_words[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = memdb__compare(word, size, stop_words[middle], strlen(stop_words[middle]));
        if (order == 0) {
            return true;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return false;
}

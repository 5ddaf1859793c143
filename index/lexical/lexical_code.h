// BM25 and the posting codes: the constants, the weight of a (tf, length) pair, and its one-byte
// code.
//
// The score of a document is the sum over the question's terms of idf(term) * weight(tf, length),
// with
//   idf    = ln(1 + (N - df + 0.5) / (df + 0.5)) ^ rare
//   weight = tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average length))
// (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009).
//
// A code stands for an exact tf of 1 to 7, or for "8 or more", and a range of lengths. It keeps no
// statistics, so that a weight table of 256 floats follows any average length: MEMDB__CODES has the
// least length of each code, whose weight is the greatest in the range and therefore an upper
// bound. Codes are part of the segment format.
#ifndef MEMDB_INDEX_LEXICAL_CODE_H
#define MEMDB_INDEX_LEXICAL_CODE_H

#include "index/lexical/lexical.h"

#define MEMDB__CODE_COUNT 256
#define MEMDB__CODE_TF_CLASSES 8 // tf 1 to 7, and 8 or more

/// First code of each class; [8] is 256.
extern const uint16_t memdb__code_first[MEMDB__CODE_TF_CLASSES + 1];
/// Least length of each code.
extern const uint16_t memdb__code_length[MEMDB__CODE_COUNT];

/// The code of a pair; length >= tf >= 1.
uint8_t memdb__code_of(uint32_t tf, uint32_t length);

/// The tf of a code; 8 means "8 or more, the exact one stands elsewhere".
uint32_t memdb__code_tf(uint8_t code);
static inline bool memdb__code_needs_tf(uint8_t code) {
    return code >= 244;
}

/// What a search needs of the statistics of a space: the weight's denominator is tf + a + b *
/// length.
typedef struct memdb__bm25 {
    double documents, average_length;
    double a, b;
    double gain; // k1 + 1
    double rare, cover;
} memdb__bm25_t;

/// Counts may be out of step at an old snapshot; they are brought into range here.
void memdb__bm25_init(memdb__bm25_t *bm25, const memdb__words_parameters_t *parameters,
                      int64_t documents, int64_t tokens);
double memdb__bm25_idf(const memdb__bm25_t *bm25, int64_t document_frequency);
static inline double memdb__bm25_weight(const memdb__bm25_t *bm25, double tf, double length) {
    return tf * bm25->gain / (tf + bm25->a + bm25->b * length);
}
/// Upper bounds of the weights of all codes.
void memdb__bm25_bounds(const memdb__bm25_t *bm25, float bounds_out[MEMDB__CODE_COUNT]);
/// A lower bound of the weight of one code.
double memdb__bm25_least(const memdb__bm25_t *bm25, uint8_t code);

#endif

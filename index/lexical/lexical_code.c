// Posting codes and BM25.
//
// Short texts are the common case: most postings have tf 1, and lengths up to 16 have a code of
// their own there. Above, a class grows by a constant ratio (1/8 for tf 1, doubling for 6 and
// more), which keeps the bound within that ratio of the truth. Lengths beyond a class's last entry
// share its last code: still a bound, only a looser one.
#include "index/lexical/lexical_code.h"

#include <math.h>

const uint16_t memdb__code_first[MEMDB__CODE_TF_CLASSES + 1] = {0,   80,  144, 184, 208,
                                                                224, 236, 244, 256};

const uint16_t memdb__code_length[MEMDB__CODE_COUNT] = {
    // tf 1
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 27, 30, 33, 37, 41, 46,
    51, 57, 64, 72, 81, 91, 102, 114, 128, 144, 162, 182, 204, 229, 257, 289, 325, 365, 410, 461,
    518, 582, 654, 735, 826, 929, 1045, 1175, 1321, 1486, 1671, 1879, 2113, 2377, 2674, 3008, 3384,
    3807, 4282, 4817, 5419, 6096, 6858, 7715, 8679, 9763, 10983, 12355, 13899, 15636, 17590, 19788,
    22261, 25043,
    // tf 2
    2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 22, 25, 28, 32, 36, 41, 46, 52, 59, 67,
    76, 86, 98, 112, 128, 146, 166, 189, 216, 246, 281, 321, 366, 418, 477, 545, 622, 710, 811, 926,
    1058, 1209, 1381, 1578, 1803, 2060, 2354, 2690, 3074, 3513, 4014, 4587, 5242, 5990, 6845, 7822,
    8939, 10216,
    // tf 3
    3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 19, 22, 26, 31, 37, 44, 52, 62, 74, 88, 105, 126, 151, 181,
    217, 260, 312, 374, 448, 537, 644, 772, 926, 1111, 1333, 1599, 1918, 2301, 2761,
    // tf 4
    4, 5, 6, 8, 10, 13, 17, 22, 29, 38, 50, 66, 88, 117, 156, 208, 277, 369, 492, 656, 874, 1165,
    1553, 2070,
    // tf 5
    5, 7, 10, 15, 22, 33, 49, 73, 109, 163, 244, 366, 549, 823, 1234, 1851,
    // tf 6
    6, 12, 24, 48, 96, 192, 384, 768, 1536, 3072, 6144, 12288,
    // tf 7
    7, 14, 28, 56, 112, 224, 448, 896,
    // tf 8 and more
    8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};

uint8_t memdb__code_of(uint32_t tf, uint32_t length) {
    uint32_t class = tf < MEMDB__CODE_TF_CLASSES ? tf - 1 : MEMDB__CODE_TF_CLASSES - 1;
    uint32_t low = memdb__code_first[class], high = memdb__code_first[class + 1];
    if (length <= 16 && class == 0) {
        return (uint8_t)(length - 1);
    }
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (memdb__code_length[middle] <= length) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return (uint8_t)low;
}

uint32_t memdb__code_tf(uint8_t code) {
    uint32_t class = 0;
    while (code >= memdb__code_first[class + 1]) {
        class ++;
    }
    return class + 1;
}

const memdb__words_parameters_t memdb__words_plain = {1.2, 0.75, 1, 0};

void memdb__bm25_init(memdb__bm25_t *bm25, const memdb__words_parameters_t *parameters,
                      int64_t documents, int64_t tokens) {
    parameters = parameters ? parameters : &memdb__words_plain;
    bm25->documents = documents > 0 ? (double)documents : 0;
    bm25->average_length = documents > 0 && tokens > 0 ? (double)tokens / (double)documents : 1;
    bm25->a = parameters->k1 * (1 - parameters->b);
    bm25->b = parameters->k1 * parameters->b / bm25->average_length;
    bm25->gain = parameters->k1 + 1;
    bm25->rare = parameters->rare;
    bm25->cover = parameters->cover;
}

double memdb__bm25_idf(const memdb__bm25_t *bm25, int64_t document_frequency) {
    double df = document_frequency > 0 ? (double)document_frequency : 0;
    df = df < bm25->documents ? df : bm25->documents;
    double idf = log(1 + (bm25->documents - df + 0.5) / (df + 0.5));
    return bm25->rare == 1 ? idf : pow(idf, bm25->rare);
}

void memdb__bm25_bounds(const memdb__bm25_t *bm25, float bounds_out[MEMDB__CODE_COUNT]) {
    // Rounding up by a millionth covers the step from double to float.
    const float gain = (float)(bm25->gain * (1 + 1e-6));
    const float a = (float)bm25->a, b = (float)bm25->b;
    for (uint32_t class = 0; class + 1 < MEMDB__CODE_TF_CLASSES; class ++) {
        float tf = (float)(class + 1);
        for (uint32_t code = memdb__code_first[class]; code < memdb__code_first[class + 1];
             code++) {
            bounds_out[code] = tf * gain / (tf + a + b * (float)memdb__code_length[code]);
        }
    }
    for (uint32_t code = memdb__code_first[MEMDB__CODE_TF_CLASSES - 1]; code < 256; code++) {
        bounds_out[code] = gain;
    }
}

double memdb__bm25_least(const memdb__bm25_t *bm25, uint8_t code) {
    uint32_t tf = memdb__code_tf(code);
    bool last = (uint32_t)code + 1 == memdb__code_first[tf];
    double length = last ? 4.0 * memdb__code_length[code] : memdb__code_length[code + 1] - 1.0;
    return memdb__bm25_weight(bm25, tf, length);
}

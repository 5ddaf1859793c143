// Numbers of a row to bytes and back. See table.h.
//
// The 16- and 8-bit formats are those of IEEE 754-2019 (binary16), of Google's bfloat16, and of the
// OCP specifications of 8-bit floating point (E4M3: bias 7, no infinities, largest 448) and of
// microscaling (E8M0 scales). Rounding is to the nearest, ties to even; what is too large becomes
// the largest value that there is.
#include "base/bytes.h"
#include "index/kernels/kernels.h"
#include "index/table/table.h"

#include <math.h>

#define F16_LARGEST 65504.0f
#define E4M3_LARGEST 448.0f
#define E8M0_BIAS 127
#define E8M0_LARGEST 254 // 255 is not a number

bool memdb__table_format_init(memdb__table_format_t *format, memdb_dtype_t dtype,
                              uint32_t dimension, uint32_t scale_group) {
    static const uint8_t half_bytes[] = {8, 4, 4, 2, 2, 1}; // of a number, in half bytes
    static const uint8_t scale_bytes[] = {0, 0, 0, 1, 4, 4};
    if ((uint32_t)dtype > MEMDB_DTYPE_Q4 || dimension == 0 ||
        dimension > MEMDB_MAX_TABLE_DIMENSION || (scale_group && !scale_bytes[dtype])) {
        return false;
    }
    bool scaled = dtype == MEMDB_DTYPE_I8 || dtype == MEMDB_DTYPE_Q4 || scale_group;
    uint32_t group = !scaled                                   ? 0
                     : scale_group && scale_group <= dimension ? scale_group
                                                               : dimension;
    *format = (memdb__table_format_t){.dtype = dtype, .dimension = dimension, .group = group};
    format->scale_offset = (dimension * half_bytes[dtype] + 1) / 2;
    uint32_t groups = group ? (dimension + group - 1) / group : 0;
    format->row_bytes = format->scale_offset + groups * scale_bytes[dtype];
    return true;
}

// ------------------------------------------------------------------------------ decoding

static float decode_e4m3(uint8_t code) {
    uint32_t sign = (uint32_t)(code & 0x80) << 24, exponent = (code >> 3) & 15, fraction = code & 7;
    if (exponent == 15 && fraction == 7) {
        return memdb__bits_float(sign | 0x7FC00000);
    }
    if (exponent == 0) { // zero, or subnormal: a multiple of 2^-9
        float number = (float)fraction * 0x1p-9f;
        return sign ? -number : number;
    }
    return memdb__bits_float(sign | (exponent + 120) << 23 | fraction << 20);
}

/// 2^(code - 127); the lowest one is subnormal.
static float decode_e8m0(uint8_t code) {
    return code == 255 ? NAN : code ? memdb__bits_float((uint32_t)code << 23) : 0x1p-127f;
}

/// The scale of group number `i`.
static float scale_of(const memdb__table_format_t *format, const uint8_t *row, uint32_t i) {
    const uint8_t *scales = row + format->scale_offset;
    return format->dtype == MEMDB_DTYPE_E4M3
               ? decode_e8m0(scales[i])
               : memdb__bits_float(memdb__get_u32(scales + 4 * (size_t)i));
}

static void decode_scaled(const memdb__table_format_t *format, const uint8_t *row, float *out) {
    for (uint32_t from = 0, i = 0; from < format->dimension; from += format->group, i++) {
        uint32_t left = format->dimension - from,
                 to = from + (left < format->group ? left : format->group);
        float scale = scale_of(format, row, i);
        if (format->dtype == MEMDB_DTYPE_I8) {
            for (uint32_t j = from; j < to; j++) {
                out[j] = (float)(int8_t)row[j] * scale;
            }
        } else if (format->dtype == MEMDB_DTYPE_Q4) {
            for (uint32_t j = from; j < to; j++) {
                out[j] = (float)((row[j / 2] >> 4 * (j & 1) & 15) - 8) * scale;
            }
        } else {
            for (uint32_t j = from; j < to; j++) {
                out[j] = decode_e4m3(row[j]) * scale;
            }
        }
    }
}

void memdb__table_row_decode(const memdb__table_format_t *format, const uint8_t *row, float *out) {
    uint32_t d = format->dimension;
    if (format->group) {
        decode_scaled(format, row, out);
        return;
    }
    switch (format->dtype) {
    case MEMDB_DTYPE_F32:
        for (uint32_t i = 0; i < d; i++) {
            out[i] = memdb__bits_float(memdb__get_u32(row + 4 * (size_t)i));
        }
        break;
    case MEMDB_DTYPE_F16:
        for (uint32_t i = 0; i < d; i++) {
            out[i] = memdb__half_decode(memdb__get_u16(row + 2 * (size_t)i));
        }
        break;
    case MEMDB_DTYPE_BF16:
        for (uint32_t i = 0; i < d; i++) {
            out[i] = memdb__bits_float((uint32_t)memdb__get_u16(row + 2 * (size_t)i) << 16);
        }
        break;
    default:
        for (uint32_t i = 0; i < d; i++) {
            out[i] = decode_e4m3(row[i]);
        }
    }
}

// ------------------------------------------------------------------------------ encoding

static float clamp(float value, float low, float high) {
    return value < low ? low : value > high ? high : value;
}

static uint16_t encode_bf16(float number) {
    uint32_t bits = memdb__float_bits(number);
    uint32_t rounded = ((bits & 0x7FFFFFFF) + 0x7FFF + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits >> 16 & 0x8000) | (rounded < 0x7F7F ? rounded : 0x7F7F));
}

static uint8_t encode_e4m3(float number) {
    uint32_t bits = memdb__float_bits(number), magnitude = bits & 0x7FFFFFFF;
    uint8_t sign = (uint8_t)(bits >> 24 & 0x80);
    if (magnitude < (127u - 6) << 23) { // below 2^-6 the steps are 2^-9; nearbyint rounds to even
        return (uint8_t)(sign | (uint8_t)nearbyintf(memdb__bits_float(magnitude) * 0x1p9f));
    }
    uint32_t rounded = magnitude + (1u << 19) - 1 + (magnitude >> 20 & 1);
    uint32_t code = (rounded >> 20) - (120u << 3);
    return (uint8_t)(sign | (code < 0x7E ? code : 0x7E));
}

/// The smallest power of two that brings `largest` to at most 448.
static uint8_t scale_code(float largest) {
    if (largest == 0) {
        return 0;
    }
    int exponent;
    float fraction = frexpf(largest / E4M3_LARGEST, &exponent); // in [.5, 1)
    int code = exponent - (fraction == 0.5f) + E8M0_BIAS;
    return (uint8_t)(code < 0 ? 0 : code > E8M0_LARGEST ? E8M0_LARGEST : code);
}

/// Numbers [from, to), group number `i`.
static void encode_group(const memdb__table_format_t *format, const float *numbers, uint32_t from,
                         uint32_t to, uint32_t i, uint8_t *out) {
    float highest = 0, lowest = 0;
    uint8_t *scales = out + format->scale_offset;
    for (uint32_t j = from; j < to; j++) {
        highest = numbers[j] > highest ? numbers[j] : highest;
        lowest = numbers[j] < lowest ? numbers[j] : lowest;
    }
    float largest = highest > -lowest ? highest : -lowest, scale;
    if (format->dtype == MEMDB_DTYPE_E4M3) {
        scales[i] = scale_code(largest);
        scale = decode_e8m0(scales[i]);
        for (uint32_t j = from; j < to; j++) {
            out[j] = encode_e4m3(numbers[j] / scale);
        }
        return;
    }
    bool bytes = format->dtype == MEMDB_DTYPE_I8;
    scale = bytes ? largest / 127 : highest / 7 > -lowest / 8 ? highest / 7 : -lowest / 8;
    memdb__put_u32(scales + 4 * (size_t)i, memdb__float_bits(scale));
    for (uint32_t j = from; j < to; j++) {
        float steps = scale > 0 ? nearbyintf(numbers[j] / scale) : 0; // 0: they are too small
        if (bytes) {
            out[j] = (uint8_t)(int8_t)clamp(steps, -127, 127);
        } else {
            out[j / 2] |= (uint8_t)((uint32_t)(clamp(steps, -8, 7) + 8) << 4 * (j & 1));
        }
    }
}

bool memdb__table_row_encode(const memdb__table_format_t *format, const float *numbers,
                             uint8_t *out) {
    for (uint32_t i = 0; i < format->dimension; i++) {
        if (!isfinite(numbers[i])) {
            return false;
        }
    }
    if (format->group) {
        memset(out, 0, format->dtype == MEMDB_DTYPE_Q4 ? format->scale_offset : 0);
        for (uint32_t from = 0, i = 0; from < format->dimension; from += format->group, i++) {
            uint32_t left = format->dimension - from;
            encode_group(format, numbers, from,
                         from + (left < format->group ? left : format->group), i, out);
        }
        return true;
    }
    for (uint32_t i = 0; i < format->dimension; i++) {
        switch (format->dtype) {
        case MEMDB_DTYPE_F32:
            memdb__put_u32(out + 4 * (size_t)i, memdb__float_bits(numbers[i]));
            break;
        case MEMDB_DTYPE_F16:
            memdb__put_u16(out + 2 * (size_t)i,
                           memdb__half_encode(clamp(numbers[i], -F16_LARGEST, F16_LARGEST)));
            break;
        case MEMDB_DTYPE_BF16:
            memdb__put_u16(out + 2 * (size_t)i, encode_bf16(numbers[i]));
            break;
        default:
            out[i] = encode_e4m3(numbers[i]);
        }
    }
    return true;
}

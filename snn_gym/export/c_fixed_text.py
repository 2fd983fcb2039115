"""The C source of an exported agent, in fixed point: what does not depend on its numbers."""

HELPERS = """\
/* Add the rows of weights of the neurons that fired. */
static inline void add_rows(const int8_t *weights, int size, const int *places, int count,
                            int32_t *total) {
    for (int k = 0; k < count; k++) {
        const int8_t *row = weights + places[k] * size;
        for (int n = 0; n < size; n++) {
            total[n] += row[n];
        }
    }
}
"""

ADD_PRODUCTS = """\
/* Add the rows of weights times the values. */
static inline void add_products(const int8_t *weights, int inputs, int size, const int16_t *values,
                                int32_t *total) {
    for (int d = 0; d < inputs; d++) {
        for (int n = 0; n < size; n++) {
            total[n] += values[d] * weights[d * size + n];
        }
    }
}

/* Divide by 2^bits, to the nearest. */
static inline int32_t scaled(int32_t value, int bits) {
    return bits == 0 ? value : (value + (1 << (bits - 1))) >> bits;
}
"""

SATURATED = """\
/* The nearest number of 16 bits. */
static inline int32_t saturated(int32_t x) {
    return x > 32767 ? 32767 : (x < -32768 ? -32768 : x);
}

static inline int32_t larger(int32_t a, int32_t b) {
    return a > b ? a : b;
}

static inline int32_t smaller(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* A product with a number of 14 bits, to the nearest. */
static inline int32_t share(int32_t gain, int32_t x) {
    return (gain * x + 8192) >> 14;
}
"""

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

/* A product with a number of 14 bits, to the nearest. */
static inline int32_t share(int32_t gain, int32_t x) {
    return (gain * x + 8192) >> 14;
}
"""

NEURONS = (
    """\
/* lif_box: dv = gain * ((x + leak) - v), a spike above the threshold, hard reset. */
static inline void lif_box(const int16_t *constants, const int32_t *currents, int16_t *v, int size,
                           unsigned char *spikes) {
    const int32_t gain = constants[0], leak = constants[2];
    const int32_t threshold = constants[3], reset = constants[4];
    for (int n = 0; n < size; n++) {
        const int32_t driven = (saturated(currents[n]) + leak) - v[n];
        const int32_t moved = saturated(v[n] + share(gain, driven));
        const int fired = moved > threshold;
        v[n] = (int16_t)(fired ? reset : moved);
        spikes[n] = (unsigned char)fired;
    }
}
""",
    """\
/* iaf: v = v + x, a spike above the threshold, hard reset. */
static inline void iaf(const int16_t *constants, const int32_t *currents, int16_t *v, int size,
                       unsigned char *spikes) {
    const int32_t threshold = constants[3], reset = constants[4];
    for (int n = 0; n < size; n++) {
        const int32_t moved = saturated(v[n] + saturated(currents[n]));
        const int fired = moved > threshold;
        v[n] = (int16_t)(fired ? reset : moved);
        spikes[n] = (unsigned char)fired;
    }
}
""",
    """\
/* lif: a current that decays drives the potential; v and i follow each other in `v`. */
static inline void lif(const int16_t *constants, const int32_t *currents, int16_t *v, int size,
                       unsigned char *spikes) {
    const int32_t gain = constants[0], current_gain = constants[1], leak = constants[2];
    const int32_t threshold = constants[3], reset = constants[4];
    int16_t *i = v + size;
    for (int n = 0; n < size; n++) {
        const int32_t jumped = saturated(i[n] + saturated(currents[n]));
        const int32_t moved = saturated(v[n] + share(gain, (leak - v[n]) + jumped));
        const int fired = moved > threshold;
        i[n] = (int16_t)saturated(jumped + share(current_gain, jumped));
        v[n] = (int16_t)(fired ? reset : moved);
        spikes[n] = (unsigned char)fired;
    }
}
""",
    """\
/* alif: as lif, one time step late, with a threshold that rises by every spike: v, i, b. */
static inline void alif(const int16_t *constants, const int32_t *currents, int16_t *v, int size,
                        unsigned char *spikes) {
    const int32_t gain = constants[0], current_gain = constants[1], leak = constants[2];
    const int32_t rest = constants[3], reset = constants[4];
    const int32_t adapt_gain = constants[5], beta = constants[6];
    int16_t *i = v + size, *b = v + 2 * size;
    for (int n = 0; n < size; n++) {
        const int32_t moved = saturated(v[n] + share(gain, (leak - v[n]) + i[n]));
        const int32_t threshold = b[n] + share(adapt_gain, rest - b[n]);
        const int fired = moved > threshold;
        const int32_t left = saturated(i[n] + share(current_gain, i[n]));
        i[n] = (int16_t)saturated(left + saturated(currents[n]));
        v[n] = (int16_t)(fired ? reset : moved);
        b[n] = (int16_t)saturated(threshold + fired * beta);
        spikes[n] = (unsigned char)fired;
    }
}
""",
)
"""By kind, as in ``c_text``."""

"""Templates of the C source of exported agents, in float."""

HEADER = """\
/* A spiking agent as C99, written by `snn-gym export`: {title}.
 *
 * Numbers: {shape}.
 * A decision: {costs}.
 * Memory: {constant_bytes} bytes of constants, {state_bytes} of state, below
 *   {stack_bytes} of stack; nothing is allocated.
 * Compile with -std=c99 -O3 and link libm.
 */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

#define {upper}_INPUTS {inputs}
#define {upper}_ACTIONS {actions}

/* What lasts from one decision to the next{lasting}. */
typedef struct {{
{state_fields}
}} {name}_state;

/* The action: {action_comment}. */
typedef {action_type} {name}_action;

/* Put the state to rest: call it once, and where an episode starts. */
void {name}_reset({name}_state *state);

/* Decide. `observation` has {observation_comment}; the action is written. */
void {name}_step({name}_state *state, const float *observation, {name}_action *action);

#endif
"""

PLACES = """\
/* Places of the bytes that are not 0, in order; returns how many there are. */
static int places_of(const unsigned char *spikes, int size, int *places) {
    int count = 0, n = 0;
    for (; n + 8 <= size; n += 8) { /* lean layers are silent, eight neurons at a look */
        unsigned long long eight;
        memcpy(&eight, spikes + n, 8);
        if (eight == 0) {
            continue;
        }
        for (int k = n; k < n + 8; k++) {
            places[count] = k;
            count += spikes[k];
        }
    }
    for (; n < size; n++) {
        places[count] = n;
        count += spikes[n];
    }
    return count;
}
"""

HELPERS = """\
/* Add the rows of weights of the neurons that fired, four at a time. */
static inline void add_rows(const float *weights, int size, const int *places, int count,
                            float *total) {
    int k = 0;
    for (; k + 4 <= count; k += 4) {
        const float *a = weights + places[k] * size, *b = weights + places[k + 1] * size;
        const float *c = weights + places[k + 2] * size, *d = weights + places[k + 3] * size;
        for (int n = 0; n < size; n++) {
            total[n] += (a[n] + b[n]) + (c[n] + d[n]);
        }
    }
    for (; k < count; k++) {
        const float *a = weights + places[k] * size;
        for (int n = 0; n < size; n++) {
            total[n] += a[n];
        }
    }
}
"""

ADD_PRODUCTS = """\
/* Add the rows of weights times the values that are not 0, four at a time. */
static inline void add_products(const float *weights, int inputs, int size, const float *values,
                                float *total) {
    const float *rows[4];
    float factors[4];
    int held = 0;
    for (int d = 0; d < inputs; d++) {
        if (values[d] == 0.0f) {
            continue;
        }
        rows[held] = weights + d * size;
        factors[held++] = values[d];
        if (held == 4) {
            for (int n = 0; n < size; n++) {
                total[n] += (factors[0] * rows[0][n] + factors[1] * rows[1][n]) +
                            (factors[2] * rows[2][n] + factors[3] * rows[3][n]);
            }
            held = 0;
        }
    }
    for (int k = 0; k < held; k++) {
        for (int n = 0; n < size; n++) {
            total[n] += factors[k] * rows[k][n];
        }
    }
}
"""

FILTERED = """\
/* Add to the sums of layer {k} its filters at every place times the values that they read, in the
   order of a product: four values other than 0 at a time. */
static void filter_{k}(const {value} *values, {sum} *total) {{
    int numbers[{inputs}], count = 0;
    for (int d = 0; d < {inputs}; d++) {{
        numbers[d] = values[d] != 0 ? count++ : -1;
    }}
    const int fours = count & ~3;
    for (int p = 0; p < {places}; p++) {{
        const int top = (p / {columns} * {stride} - {padding}) * {pool};
        const int left = (p % {columns} * {stride} - {padding}) * {pool};
        {sum} pairs[2][{filters}] = {{{{0}}}};
        int group = -1;
{loops}
            const int y = top + i, x = left + j;
            if (y < 0 || y >= {height} || x < 0 || x >= {width}) {{
                continue;
            }}
            const int d = {at}, k = numbers[d];
            if (k < 0) {{
                continue;
            }}
            if (k / 4 != group || k >= fours) {{
                for (int f = 0; f < {filters}; f++) {{
                    total[f * {places} + p] += pairs[0][f] + pairs[1][f];
                    pairs[0][f] = pairs[1][f] = 0;
                }}
                group = k / 4;
            }}
            const {weight} *row = filters_{k}[(c * {kernel} + i / {pool}) * {kernel} + j / {pool}];
            {sum} *pair = pairs[k / 2 % 2];
            for (int f = 0; f < {filters}; f++) {{
                pair[f] += values[d] * row[f];
            }}
        }}
        for (int f = 0; f < {filters}; f++) {{
            total[f * {places} + p] += pairs[0][f] + pairs[1][f];
        }}
    }}
}}
"""

CARRY = """\
    for (int n = 0; n < {size}; n++) {{ /* the decoder carries its state on */
        float before[{rows}];
        for (int s = 0; s < {rows}; s++) {{
            before[s] = state->readout[s][n];
        }}
        for (int r = 0; r < {rows} + {values}; r++) {{
            for (int s = 0; s < {rows}; s++) {{
                decoded[r][n] += transition[r][s] * before[s];
            }}
        }}
        for (int s = 0; s < {rows}; s++) {{
            state->readout[s][n] = decoded[s + {values}][n];
        }}
    }}"""

RESET = """\
void {name}_reset({name}_state *state) {{
    memset(state, 0, sizeof *state);
}}"""

VALUES = """\
    float values[{inputs}];
    for (int d = 0; d < {inputs}; d++) {{
        values[d] = observation[d];"""

DENSE = """\
    {type} sums_{k}[{wide}];
    memcpy(sums_{k}, biases_{k}, sizeof sums_{k});
    {added}"""

LOOPS = """\
    {type} loops_{k}[{wide}];
    memcpy(loops_{k}, recurrent_biases_{k}, sizeof loops_{k});
    add_products(&recurrent_{k}[0][0], {size}, {wide}, state->units_{k}, loops_{k});"""

GATED = """\
    pass_{gates}(sums_{k}, loops_{k}, state->units_{k}, {size});"""

ACTIVATED = """\
    for (int n = 0; n < {wide}; n++) {{
        sums_{k}[n] = {value};
    }}"""

LEAKY = """\
    for (int n = 0; n < {wide}; n++) {{
        state->units_{k}[n] = decay_{k}[n] * state->units_{k}[n] + sums_{k}[n];
    }}"""

RECTIFIED = """\
    for (int n = 0; n < {wide}; n++) {{
        state->units_{k}[n] = decay_{k}[n] * state->units_{k}[n] + sums_{k}[n];
        sums_{k}[n] = fmaxf(state->units_{k}[n], 0.0f);
    }}"""

HELD = """\
    float held[{size}];
    memcpy(held, biases_1, sizeof held);
    {added}"""

FIXED_VALUES = """\
    for (int d = 0; d < {inputs}; d++) {{
        const float x = {value};
        values[d] = (int16_t)lrintf({unit} * ({clipped}));
    }}"""

FIXED_HELD = """\
    memset(held, 0, sizeof held);
    {added}
    for (int n = 0; n < {size}; n++) {{
        held[n] = biases_1[n] + scaled(held[n], {shift});
    }}"""

LEARNED_FIELDS = """\
    float activity[{channels}];
    float summed[{channels}];
    memset(summed, 0, sizeof summed);
    for (int c = 0; c < {channels}; c++) {{
        const float away = (values[c / {fields}] - centres[c]) / widths[c];
        activity[c] = expf(-0.5f * away * away);
    }}"""

ACTIVITY = """\
    float activity[{channels}];
    for (int d = 0; d < {inputs}; d++) {{
        const float x = fminf(fmaxf(values[d] / {range} + 0.5f, 0.0f), 1.0f);
{activity}
    }}"""

FIELDS = """\
        for (int i = 0; i < {fields}; i++) {{
            const float away = (x - centres[i]) * {steepness};
            activity[d * {fields} + i] = expf(-0.5f * away * away);
        }}"""

CURRENTS = """\
float currents[{size}];
memcpy(currents, {base}, sizeof currents);
{driven}"""

FIXED_CURRENTS = """\
int32_t currents[{size}];
memset(currents, 0, sizeof currents);
{driven}
for (int n = 0; n < {size}; n++) {{
    currents[n] = {base}[n] + currents[n] * {unit};
}}"""

RESTED = """\
    memcpy(state->neurons_{k}, rest_{k}, sizeof rest_{k});
    memset(state->spikes_{k}, 0, sizeof state->spikes_{k});"""

PRODUCTS = "add_products(&weights_{k}[0][0], {inputs}, {size}, {source}, {total});"
ADDED = "add_rows(&{weights}[0][0], {size}, places, {count}, currents);"
UPDATED = "{name}(constants_{k}, {currents}, state->neurons_{k}, {size}, state->spikes_{k});"

SEEN = """\
unsigned char seen[{channels}];
for (int {place} = 0; {place} < {channels}; {place}++) {{
{lines}
}}"""

TOGETHER = """\
{type} {name}[{inputs}];
memset({name}, 0, sizeof {name});
for (int r = 0; r < {rows}; r++) {{
    for (int d = 0; d < {inputs}; d++) {{
        {name}[d] += observation[({t} * {rows} + r) * {inputs} + d] != 0.0f;
    }}
}}"""

SUMMED = """\
    summed[c] += activity[c];
    seen[c] = summed[c] > {limit};
    summed[c] -= {limit} * (float)seen[c];"""

DECODED = """\
        const int fired = places_of(state->spikes_{count}, {last}, places);
        for (int k = 0; k < fired; k++) {{
{sums}
        }}
    }}"""

STEP = """\
{signature}
    {sum} decoded[{rows}][{last}];
    {sum} outputs[{outputs}];
    int places[{places}];
    memset(decoded, 0, sizeof decoded);"""

READ = """\
    for (int o = 0; o < {outputs}; o++) {{
        outputs[o] = head_biases[o];
        for (int n = 0; n < {size}; n++) {{
            outputs[o] += head_weights[o][n] * {features}[n];
        }}
    }}"""

ARGMAX = """\
    int best = 0;
    for (int o = 1; o < {outputs}; o++) {{
        best = outputs[o] > outputs[best] ? o : best;
    }}
    *action = best;"""

SCALED = """\
    for (int o = 0; o < {outputs}; o++) {{
        const float x = {output};
{action}
    }}"""

SQUASH = """\
        const float part = 0.5f * (tanhf({x}) + 1.0f);
        action->values[o] = lows[o] + part * (highs[o] - lows[o]);"""

CLIP = """\
        action->values[o] = x < lows[o] ? lows[o] : (x > highs[o] ? highs[o] : x);"""

PRINT_NUMBER = '        printf("%d\\n", action);'
PRINT_VALUES = """\
        for (int k = 0; k < {upper}_ACTIONS; k++) {{
            printf(k ? " %.9g" : "%.9g", (double)action.values[k]);
        }}
        printf("\\n");"""

MAIN = """\
/* Decides for every line of the standard input, and writes a line for each: values with spaces
 * between. A line "reset" starts an episode. */
#include <stdio.h>
#include <string.h>

#include "{name}.h"

#define VALUES {values}

static {name}_state state;

int main(void) {{
    static char line[{line_size}];
    static float observation[VALUES];
    {name}_action action;
    {name}_reset(&state);
    while (fgets(line, sizeof line, stdin) != NULL) {{
        char *place = line;
        if (strncmp(line, "reset", 5) == 0) {{
            {name}_reset(&state);
            continue;
        }}
        for (int k = 0; k < VALUES; k++) {{
            int read = 0;
            if (sscanf(place, "%f%n", &observation[k], &read) != 1) {{
                fprintf(stderr, "expected %d values in a line, got %d\\n", VALUES, k);
                return 2;
            }}
            place += read;
        }}
        {name}_step(&state, observation, &action);
{print_action}
        fflush(stdout);
    }}
    return 0;
}}
"""

LOGISTIC = """\
static float logistic(float x) {
    return 0.5f + 0.5f * tanhf(0.5f * x);
}
"""

GRU = """\
/* Move gated units on: the gates reset, update and new, of inputs `x` and of the units `h`. */
static void pass_gru(const float *x, const float *h, float *units, int size) {
    for (int n = 0; n < size; n++) {
        const int m = n + size, o = n + 2 * size;
        const float reset = logistic(x[n] + h[n]), update = logistic(x[m] + h[m]);
        const float made = tanhf(x[o] + reset * h[o]);
        units[n] = (1.0f - update) * made + update * units[n];
    }
}
"""

RNN = """\
/* Move recurrent units on, of inputs `x` and of the units `h`. */
static void pass_{gates}(const float *x, const float *h, float *units, int size) {{
    for (int n = 0; n < size; n++) {{
        units[n] = {value};
    }}
}}
"""

LSTM = """\
/* Move gated units on: the gates input, forget, cell and output; cells lie behind the units. */
static void pass_lstm(const float *x, const float *h, float *units, int size) {
    for (int n = 0; n < size; n++) {
        const int m = n + size, o = n + 2 * size, q = n + 3 * size;
        const float entering = logistic(x[n] + h[n]), kept = logistic(x[m] + h[m]);
        units[m] = kept * units[m] + entering * tanhf(x[o] + h[o]);
        units[n] = logistic(x[q] + h[q]) * tanhf(units[m]);
    }
}
"""

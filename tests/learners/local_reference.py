"""Reference of the rule of ``LocalActorCritic``, by synapse, in float64 and plain Python."""

import math

import numpy as np


class Reference:
    """Synapses of one environment, ``[layer][input][neuron]``; the last input is the bias."""

    def __init__(self, policy, gamma, trace_decay, feedback, reward_scale=1.0):
        hidden, head, critic = policy.learned_parts()
        self.hidden = [_with_bias(x) for x in hidden]
        # [output][neuron], the bias last; output 0 is the value
        self.readouts = np.vstack([_with_bias(critic).T, _with_bias(head).T])
        self.log_std = policy.log_std.numpy().astype(float)
        self.back = policy.feedback.numpy().astype(float)
        self.gamma, self.decay, self.feedback = gamma, gamma * trace_decay, feedback
        self.reward_scale = reward_scale
        network = policy.network
        parameters = network.neuron_parameters
        self.gain = network.dt_ms / parameters.tau_mem_ms
        self.leak, self.threshold = parameters.v_leak, parameters.v_threshold
        self.reset, self.slope = parameters.v_reset, network.surrogate_slope
        self.k = policy.controller.decoder.coefficients[0].numpy().astype(float)
        self.forget()

    def forget(self):
        self.z_hidden = [np.zeros_like(x) for x in self.hidden]
        self.z_readouts = np.zeros_like(self.readouts)
        self.z_log_std = np.zeros_like(self.log_std)
        self.value = None

    def run(self, x):
        """Return decoded activity and hidden eligibilities without the neuron signal."""
        signal = np.tile(np.append(x, 1.0), (len(self.k), 1))
        seen = []
        for weights in self.hidden:
            inputs, size = weights.shape
            spikes, local = np.zeros((len(self.k), size)), np.zeros((inputs, size))
            for j in range(size):
                v, left = self.leak, np.zeros(inputs)
                for t, k in enumerate(self.k):
                    current = sum(signal[t, i] * weights[i, j] for i in range(inputs))
                    v += self.gain * (current + self.leak - v)
                    psi = 1.0 / (1.0 + self.slope * abs(v - self.threshold)) ** 2
                    for i in range(inputs):
                        left[i] += self.gain * (signal[t, i] - left[i])
                        local[i, j] += k * psi * left[i]
                    if v > self.threshold:
                        spikes[t, j], v, left = 1.0, self.reset, np.zeros(inputs)
            seen.append(local)
            signal = np.hstack([spikes, np.ones((len(self.k), 1))])
        return np.append(self.k @ signal[:, :-1], 1.0), seen

    def eligible(self, x, action):
        """Return the value and the eligibilities (hidden, readouts, log_std) of a decision."""
        features, seen = self.run(x)
        outputs = self.readouts @ features
        errors, of_std = np.ones(len(outputs)), np.zeros(len(self.log_std))
        if len(self.log_std):
            std = np.exp(self.log_std)
            errors[1:] = (action - outputs[1:]) / std**2
            of_std = ((action - outputs[1:]) / std) ** 2 - 1.0
        else:
            odds = np.exp(outputs[1:] - outputs[1:].max())
            errors[1:] = np.eye(len(odds))[action] - odds / odds.sum()
        return outputs[0], self._signalled(seen, errors), np.outer(errors, features), of_std

    def _signalled(self, seen, errors):
        if self.feedback == "none":
            return [np.zeros_like(x) for x in seen]
        eligible, signal, last = list(seen), None, len(seen) - 1
        for layer in range(last, -1, -1):
            size = seen[layer].shape[1]
            first = sum(x.shape[1] for x in seen[:layer])
            if self.feedback == "random":
                signal = errors @ self.back[:, first : first + size]
            elif layer == last:
                signal = errors @ self.readouts[:, :-1]
            else:
                # Input of the neurons above, times the sensitivity of their rate.
                gates = seen[layer + 1][-1]
                signal = self.hidden[layer + 1][:-1] @ (signal * gates)
            eligible[layer] = seen[layer] * signal
        return eligible

    def live(self, x, action, reward=0.0, ended=False, value_after=0.0):
        """Learn from the outcome of the last decision; return the TD error and the gradient."""
        value, *eligible = self.eligible(x, action)
        error = 0.0
        if self.value is not None:
            after = value_after if ended else value
            error = self.reward_scale * reward + self.gamma * after - self.value
        gradient = (
            [error * z for z in self.z_hidden], error * self.z_readouts, error * self.z_log_std
        )  # fmt: skip
        kept = 0.0 if ended else self.decay
        self.z_hidden = [kept * z + e for z, e in zip(self.z_hidden, eligible[0], strict=True)]
        self.z_readouts = kept * self.z_readouts + eligible[1]
        self.z_log_std = kept * self.z_log_std + eligible[2]
        self.value = value
        return error, gradient

    def climb(self, gradient, hidden_step, readout_step):
        pairs = zip(self.hidden, gradient[0], strict=True)
        self.hidden = [weights + hidden_step * part for weights, part in pairs]
        self.readouts = self.readouts + readout_step * gradient[1]
        self.log_std = self.log_std + readout_step * gradient[2]

    def flat(self, hidden=None, readouts=None, log_std=None):
        """Return values with the shape of the weights in the order of the kernels."""
        parts = self.hidden if hidden is None else hidden
        rest = [self.readouts if readouts is None else readouts]
        rest.append(self.log_std if log_std is None else log_std)
        return np.concatenate([x.ravel() for x in (*parts, *rest)])


class Adam:
    """Adam by Kingma & Ba 2015, for gradient ascent."""

    def __init__(self, count):
        self.m, self.v, self.t = np.zeros(count), np.zeros(count), 0

    def step(self, gradient, size):
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        m, v = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
        return size * m / (np.sqrt(v) + 1e-8)


def _with_bias(linear):
    """Return weights [input][neuron] with the biases as the last row."""
    weights = linear.weight.numpy().astype(float).T
    return np.vstack([weights, linear.bias.numpy().astype(float)[None]])


def softmax_choice(outputs, uniform):
    """Return the action that a uniform number picks from the softmax of outputs."""
    odds = [math.exp(x) for x in outputs]
    shares = np.cumsum(odds) / sum(odds)
    return int(np.searchsorted(shares, uniform, side="right"))

"""Hostile values at random places of JSON, TOML and safetensors files that still parse, mostly."""

import json
import re
import tomllib

import safetensors.torch
import torch

from snn_gym._base.storage import SEAL, UNSEALED, seal
from tests.leaderboard.helpers import raw_safetensors

_RAW = "@raw@"
"""Stands in a structure where a literal goes that no structure could hold."""

VALUES = (
    "null", "true", "false", "0", "1", "-1", "0.5", "-0.0", "1e308", "-1e308", "1e-320", "3", "7",
    "100", "65537", str(2**31), str(2**63), str(2**64), str(10**12), str(10**30), "9" * 5000,
    "1e999", "NaN", "-Infinity", "[]", "{}", "[[]]", "[null]", "[0]", "[1, 2]", '{"a": 1}',
    '{"class": "payload"}', "[" * 20_000, "[" * 600 + "]" * 600, '{"a":' * 900 + "1" + "}" * 900,
    '""', '"0"', '"x"', '"\\ud800"', '"\\u0000"', '"a\\nb"', '"' + "x" * 100_000 + '"', '"ppo-lif"',
    '"payload"', '"payload:CartPole-v1"', '"payload.Policy"', '"../../x"', '"/etc/passwd"',
    '"CartPole-v1"', '"snn/CartPole-v1"', '"CartPole-v0"', '"Nowhere-v1"', '"ppo-mlp"', '"PPO"',
    '"DQN"', '"A2C"', '"2026-01-01T00:00:00Z"', '"' + "0" * 64 + '"', '"lin_0.1"', '"\u0663"',
    '"0-999999999999"', '"0-999999999"', '["x"]', "[1e999]", '"os.system"', '"__class__"',
)  # fmt: skip
KEYS = ("x", "", "__class__", "module", "path", "é", "\0", "id", "optimizer_class",
        "features_extractor_class", "activation_fn", "render_mode", "max_episode_steps",
        "net_arch", "sha256", "y" * 5000, "payload", "autoreset", "entry_point")  # fmt: skip


def _drawn(options, generator):
    return options[int(generator.integers(len(options)))]


def _containers(content):
    if isinstance(content, dict):
        inside = list(content.values())
    elif isinstance(content, list):
        inside = content[:3]
    else:
        return []
    return [content, *(x for item in inside for x in _containers(item))]


def change_value(content, generator):
    """Replace a value, or a key's, somewhere inside; return the literal for ``_RAW``."""
    filled = [x for x in _containers(content) if x]
    if not filled:
        return _drawn(VALUES, generator)
    container = filled[int(generator.integers(len(filled)))]
    keys = list(container) if isinstance(container, dict) else list(range(len(container)))
    key = keys[int(generator.integers(len(keys)))]
    number = isinstance(container[key], int | float) and generator.random() < 0.3
    literal = json.dumps(container[key] * 2 + 1) if number else _drawn(VALUES, generator)
    container[key] = _RAW
    return literal


def change_keys(content, generator):
    """Delete, add, rename or repeat a key somewhere inside; return the literal for ``_RAW``."""
    mappings = [x for x in _containers(content) if isinstance(x, dict)]
    if not mappings:
        return "0"
    mapping = mappings[int(generator.integers(len(mappings)))]
    keys = list(mapping)
    key = keys[int(generator.integers(len(keys)))] if keys else ""
    way = int(generator.integers(4)) if keys else 1
    if way == 0:
        del mapping[key]
    elif way == 1:
        mapping[_drawn(KEYS, generator)] = _RAW
    elif way == 2:
        mapping[_drawn(KEYS, generator)] = mapping.pop(key)
    else:  # a second time, which no mapping can hold
        mapping[f"{_RAW}{key}"] = mapping[key] if generator.random() < 0.3 else _RAW
    return _drawn(VALUES, generator)


def mutate_json(data, generator):
    """Change values and keys of a JSON file, or only how it is laid out."""
    content = json.loads(data)
    if generator.random() < 0.1:
        return json.dumps(content, indent=int(generator.integers(5))).encode()
    literal = "0"
    for _ in range(1 if generator.random() < 0.8 else 3):
        change = change_keys if generator.random() < 0.35 else change_value
        literal = change(content, generator)
    text = json.dumps(content, indent=2).replace(f'"{_RAW}"', literal).replace(_RAW, "")
    return text.encode() + b"\n"


def mutate_toml(data, generator):
    content = tomllib.loads(data.decode())
    change = change_keys if generator.random() < 0.35 else change_value
    literal = change(content, generator)
    own = ("inf", "nan", "1979-05-27", "0xff", "'x'", '"""a\nb"""', "{a.b = 1}", "[" * 5000, "1_0",
           "[[]", "[" * 900 + "]" * 900, "07:32:00")  # fmt: skip
    if generator.random() < 0.3:
        literal = _drawn(own, generator)
    groups = content.pop("groups", [])
    lines = [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in content.items()]
    if isinstance(groups, list):
        for group in groups:
            lines.append("[[groups]]" if generator.random() < 0.97 else "[groups]")
            pairs = group.items() if isinstance(group, dict) else ()
            lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in pairs]
    text = "\n".join(lines).replace(f'"{_RAW}"', literal).replace(_RAW, "")
    return text.encode("utf-8", "replace")


def _split(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _header(data, generator):
    length = int.from_bytes(data[:8], "little")
    return raw_safetensors(mutate_json(data[8 : 8 + length], generator), data[8 + length :])


def _form(data, generator):
    header, content = _split(data)
    names = [name for name in header if name != "__metadata__"]
    tensor = header[_drawn(tuple(names), generator)]
    size = len(content)
    choices = {
        "dtype": ("F64", "F16", "BF16", "I32", "U8", "BOOL", "F8_E4M3", "C64", "F4", "f32", "", 4),
        "shape": ([], [0], [-1], [1] * 20, [2**32, 2**32], [2**63, 2], [0, 2**40], [1.0], [2**64],
                  [[1]], [4, 1 << 62], tensor["shape"][::-1], [*tensor["shape"], 1]),
        "data_offsets": ([0, 0], [0, size], [-4, 0], [size, 0], [4, 8], [0, 2**63], [2**64, 4],
                         [size, size + 4], [1, 5], [0], [], [0, 4, 8], ["0", "4"], [0.0, 4.0]),
    }  # fmt: skip
    for key in choices if generator.random() < 0.2 else [_drawn(tuple(choices), generator)]:
        tensor[key] = choices[key][int(generator.integers(len(choices[key])))]
    return raw_safetensors(header, content)


def _length(data, generator):
    length = int.from_bytes(data[:8], "little")
    options = (0, 1, length - 1, length + 1, length + 8, len(data), 1 << 20, 1 << 32, (1 << 64) - 1)
    return options[int(generator.integers(len(options)))].to_bytes(8, "little") + data[8:]


def _tensors(data, generator):
    """Change numbers, names, element types or the number of tensors; the file is sound."""
    tensors, (header, _) = safetensors.torch.load(data), _split(data)
    name = _drawn(tuple(tensors), generator)
    old = tensors[name]
    way = int(generator.integers(8))
    if way == 0:
        del tensors[name]
    elif way == 1:
        tensors[_drawn((*KEYS, "policy.x", "replay.0"), generator)] = torch.zeros(2)
    elif way == 2:
        tensors[f"{name}x"] = tensors.pop(name)
    elif way == 3:
        tensors[name] = old.to((torch.float64, torch.int8, torch.bool)[int(generator.integers(3))])
    elif way == 4:
        tensors[name] = old.reshape(-1) if old.dim() != 1 else old[None]
    elif way == 5:
        tensors[name] = torch.zeros(0, dtype=old.dtype)
    else:
        values = (0.0, 1.0, -1.0, 127.0, 1e38, float("nan"), float("inf"))
        value = values[int(generator.integers(4 if not old.is_floating_point() else 7))]
        flat = old.clone().reshape(-1)
        # Cast, for no unsigned number is -1.
        number = torch.tensor(value).to(old.dtype)
        flat[: int(generator.integers(1, max(2, flat.numel())))] = number
        tensors[name] = flat.reshape(old.shape)
    return safetensors.torch.save(tensors, header.get("__metadata__"))


def _state(data, generator):
    header, content = _split(data)
    metadata = header.get("__metadata__", {})
    if "state" not in metadata:
        return _header(data, generator)
    text = mutate_json(metadata["state"].encode(), generator)
    metadata["state"] = text.decode()
    return raw_safetensors(header, content)


SAFETENSORS = (_header, _form, _form, _length, _tensors, _tensors, _state, _state)


def mutate_safetensors(data, generator):
    return SAFETENSORS[int(generator.integers(len(SAFETENSORS)))](data, generator)


def mutate_lines(data, generator):
    lines = data.split(b"\n")
    one, other = (int(generator.integers(len(lines))) for _ in range(2))
    way = int(generator.integers(4))
    if way == 0:
        del lines[one]
    elif way == 1:
        lines.insert(other, lines[one])
    elif way == 2:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one] = lines[one].upper()
    return b"\n".join(lines)


def mutate_rows(data, generator):
    """Change lines, or the JSON of a line."""
    if generator.random() < 0.3:
        return mutate_lines(data, generator)
    lines = data.splitlines()
    one = int(generator.integers(len(lines)))
    text = mutate_json(lines[one].partition(b',"sha256":')[0] + b"}", generator)
    lines[one] = b" ".join(text.split(b"\n"))
    return b"\n".join([*lines, b""])


STRUCTURED = {
    ".json": mutate_json, ".jsonl": mutate_rows, ".toml": mutate_toml,
    ".safetensors": mutate_safetensors, ".txt": mutate_lines, ".sha256": mutate_lines,
    ".csv": mutate_lines,
}  # fmt: skip
"""What changes a file of a kind, by the end of its name."""

_SEALED = re.compile(rb'("sha256": ?")[0-9a-f]{64}"')


def resealed(data):
    open_, number = _SEALED.subn(rb"\g<1>" + UNSEALED.encode() + b'"', data, count=1)
    return seal(open_) if number else data


def without_seal(data):
    return re.sub(rf'"{SEAL}": ?"[0-9a-f]{{64}}",'.encode(), b"", data, count=1)

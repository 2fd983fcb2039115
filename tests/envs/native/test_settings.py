"""Tests of settings of native tasks: invalid values are named in one line."""

import gymnasium as gym
import pytest

import snn_gym  # noqa: F401 - registers the ids

WRONG = {
    "CueAccumulation": [
        ({"cues": 4}, "cues must be odd, got 4: a tie would have no right answer$"),
        ({"cues": 3.0}, r"cues: expected int, got 3.0 \(float\)$"),
        ({"delay_jitter_steps": -1}, "delay_jitter_steps must be at least 0, got -1$"),
        ({"cue_rate_hz": 10.0}, "must be above background_rate_hz, got 10.0 and 10.0$"),
        ({"cue_rate_hz": 1000.0}, r"must be in \[0, 255/256\], got 1.0$"),
        ({"background_rate_hz": -3.0}, r"must be in \[0, 255/256\], got -0.003$"),
    ],
    "CursorDecoding": [
        ({"lost_channels": 40}, "lost_channels must be at least 0 and below 40, got 40"),
        ({"target_radius": 0.5}, "target_radius must be above 0 and below 0.45, got 0.5"),
        ({"drift_growth": 0.5}, "drift_growth must be at least 1, got 0.5"),
        ({"drift_deg": 100.0, "drift_growth": 2.0}, "must be at most 180, got 100.0 and 2.0"),
        ({"baseline_hz": 950.0}, "probability of a spike"),
    ],
    "DelayedMatchToSample": [
        ({"patterns": 31}, "patterns must be at least 2 and at most 30, got 31$"),
        ({"active_channels": 30}, "active_channels must be at least 1 and below 30, got"),
        ({"burst_steps": 9}, "burst_steps must be at most time_steps, 8, got 9$"),
        ({"distractors": 2}, "distractors must be fewer than delay_steps, 2, got 2$"),
        ({"patterns": 1}, "patterns must be at least 2 and at most 30, got 1$"),
        ({"active_channels": 0}, "active_channels must be at least 1 and below 30, got 0$"),
        ({"pattern_rate_hz": 1000.0}, r"must be in \[0, 255/256\], got 1.0$"),
        ({"background_rate_hz": -3.0}, r"must be in \[0, 255/256\], got -0.003$"),
        ({"pattern_rate_hz": 10.0}, "pattern_rate_hz must be above background_rate_hz, got 10.0"),
    ],
    "Desynchronisation": [
        ({"observed": 0}, "observed must be at least 1 and at most 40, got 0"),
        ({"heterogeneity": 1.0}, "heterogeneity must be at least 0 and below 1, got 1.0"),
        ({"healthy_rate_hz": 0.0}, "healthy_rate_hz must be above 0, got 0.0"),
    ],
    "EventTracking": [
        ({"hot_pixels": -1}, "hot_pixels must be at least 0, got -1"),
        ({"target_speed_px": 64.0}, "target_speed_px must be below arena_px, got 64.0 and 64.0"),
        ({"noise_rate_hz": 999.0}, r"must be in \[0, 255/256\], got 0.999"),
        ({"hot_rate_hz": 999.0}, r"must be in \[0, 255/256\], got 0.999"),
    ],
    "IntervalTiming": [
        ({"intervals_steps": [4, 2]}, r"must hold rising numbers, got \[4, 2\]"),
        ({"intervals_steps": []}, r"intervals_steps must hold rising numbers, got \[\]"),
        ({"intervals_steps": [0, 2]}, r"intervals_steps\[0\] must be at least 1, got 0"),
        ({"response_steps": 5}, "at least the longest interval, 6, got 5"),
        ({"pulse_rate_hz": 10.0}, "above background_rate_hz, got 10.0 and 10.0"),
        ({"pulse_rate_hz": 1000.0}, r"must be in \[0, 255/256\], got 1.0"),
        ({"tolerance": 1.5}, "above 0 and at most 1, got 1.5"),
    ],
    "PatternDetection": [
        ({"channels": 44}, "channels must be a multiple of time_steps, 8, got 44"),
        ({"pattern_channels": 20}, "pattern_channels must be a multiple of time_steps, 8"),
        ({"pattern_channels": 48}, "pattern_channels must be at most channels, 40, got 48"),
        ({"jitter_steps": 4}, "jitter_steps must be at most 3, got 4"),
        ({"shift_steps": 8}, "shift_steps must be at most 7, got 8"),
        ({"time_steps": 4}, "time_steps must be at least 5 and at most 32, got 4"),
    ],
    "Recall": [
        ({"probes": 5}, "probes must be at most 4, for 4 items of 16 channels: .*; got 5$"),
        ({"items": 14}, "probes must be at most 2, for 14 items of 16 channels: .*; got 4$"),
        ({"items": 16, "probes": 1}, "probes must be at most 0, for 16 items of 16 channels"),
    ],
    "WaterMaze": [
        ({"headings": 2}, "headings must be at least 3, got 2"),
        ({"fields_per_side": 1}, "fields_per_side must be at least 2, got 1"),
        ({"platform_radius": 0.25}, "platform_radius must be above 0 and below 0.25, got 0.25"),
        ({"heading_noise_deg": 181.0}, "must be at least 0 and at most 180, got 181.0"),
        ({"peak_rate_hz": 999.0}, r"must be in \[0, 255/256\], got 1.001"),
    ],
}


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [(task, *case) for task, cases in WRONG.items() for case in cases],
)
def test_wrong_settings_are_named(task, settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        gym.make(f"snn/{task}-v0", **settings)
    assert "\n" not in str(caught.value)

"""Regulation: penalties on what neurons do, and homeostasis."""

"""Trained agents with faults that hardware may have, before and after fine-tuning."""

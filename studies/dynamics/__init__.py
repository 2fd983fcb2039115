"""Learning that watches the dynamics: which signals should a synapse see?"""

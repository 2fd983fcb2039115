"""Study of lean networks, which shed spikes by their own dynamics once they have learned."""

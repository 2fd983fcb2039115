"""Online learning by local rules, compared with other learners by one criterion."""

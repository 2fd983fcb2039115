"""Learning on line by local rules, beside what else solves the same task, by one criterion."""

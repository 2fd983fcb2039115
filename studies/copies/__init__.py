"""How far copies of trained weights are from each other, and independent trainings."""

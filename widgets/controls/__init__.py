"""Controls that panels are made of."""

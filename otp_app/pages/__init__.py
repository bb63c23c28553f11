"""Ways in: one module for each page. Layout and wiring, no rules."""

"""The pages, one module each: layout and wiring, without rules of the domain."""

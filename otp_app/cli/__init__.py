"""The operator's commands, one module each. Only `rotate` and `events retry` change anything."""

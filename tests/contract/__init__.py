"""What holds between the app and those who send its codes."""

"""What operators ask of an installation from the command line. Nothing here changes anything."""

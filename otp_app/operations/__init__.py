"""What operators ask of an installation from the command line. Only `rotate` changes anything."""

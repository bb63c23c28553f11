"""Ways in: what a browser may ask of the server, one `rx.State` for each flow."""

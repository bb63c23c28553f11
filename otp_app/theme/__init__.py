"""The team's branding of the pages: name, logo, colours, radius and links."""

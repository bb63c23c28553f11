"""How the pages look to be the team's own: name, logo, colours, radius, links."""
